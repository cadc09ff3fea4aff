"""What all commands share: settings from the environment, and errors as one line with an exit code."""

# ruff: noqa: PLC0415 (imports inside of the functions, so that `--help` answers at once)

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from worker.settings import Settings

#: What lays down how events are read and what a request may hold.
READING = (
    "WORKER_DEFAULT_",
    "WORKER_ORDER_STATUS_MAP",
    "WORKER_EMPTIED_CART_NAME",
    "WORKER_CS_CART_ID_FIELDS",
    "WORKER_ID_PREFIXES",
    "OPTICO_MAX_FIELDS",
    "OPTICO_MAX_BODY_BYTES",
)
PROGRAM = "optico-worker"
FAILED, BAD_CONFIGURATION = 1, 2
_EVERYTHING = ("KAFKA_", "OPTICO_", "WORKER_")
#: What it takes to connect to the brokers and no more.
CONNECTION = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_CLIENT_ID", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_", "KAFKA_SSL_")


def load_settings(reads: Sequence[str] = _EVERYTHING, *, warn: bool = True) -> "Settings":
    """The settings from the environment; ends the program with 2 if they can't be used, naming every problem.

    What is legal and worth a look, such as a misspelt name, is told on standard error, unless the caller tells it.
    `reads` are the variables, or beginnings of them, that the command needs: others are not looked at, so that dead
    letters can be read without an API key. What the settings hold for those means nothing.
    """
    from worker.settings import FIELDS, SettingsError, load

    unread = [name for name in FIELDS if not name.startswith(tuple(reads))]
    hidden = {variable for name in unread for variable in (name, f"{name}_FILE")}
    stand_ins = {name: "unread" for name in unread if FIELDS[name].is_required()}
    if "KAFKA_BOOTSTRAP_SERVERS" in stand_ins:
        stand_ins["KAFKA_BOOTSTRAP_SERVERS"] = "unread:1"
    try:
        settings = load(
            {name: value for name, value in os.environ.items() if name not in hidden} | stand_ins, unread=unread
        )
    except SettingsError as error:
        problems = error.problems
    else:
        for warning in settings.warnings if warn else ():
            click.echo(f"{PROGRAM}: {warning}", err=True)
        return settings
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    lines = "\n".join(f"  {problem}" for problem in problems)
    raise failure(f"{count} in the configuration:\n{lines}\nEvery variable: docs/configuration.md", BAD_CONFIGURATION)


def needs_packages(*packages: str) -> None:
    """Ends the program with 1 if one of these packages of the `sandbox` extra is missing, as in a production image."""
    from importlib.util import find_spec

    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise failure(f"missing: {', '.join(missing)}; install them with: pip install 'optico-worker[sandbox]'")


def failure(message: str, code: int = FAILED) -> click.exceptions.Exit:
    """What ends the program when it is raised; the message is written at once, in place of a traceback."""
    click.echo(f"{PROGRAM}: {message}", err=True)
    return click.exceptions.Exit(code)


@contextmanager
def told() -> Iterator[None]:
    """Ends the program with 1 and one line where the brokers, or the command itself, refuse."""
    import logging

    import structlog

    from worker.core.text import printable
    from worker.ops.terminal import CommandError
    from worker.ports import FatalError, UnavailableError

    # Without a handler of its own the library's complaints would go to standard error beside our line.
    logging.getLogger("kafka").addHandler(logging.NullHandler())
    logging.getLogger("kafka").propagate = False
    # Ours would go to standard output, into the JSON; what they warn of is in the message.
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        yield
    except UnavailableError as error:
        message = f"{printable(error)}; `{PROGRAM} check` says what can't be reached"
    except (FatalError, CommandError) as error:
        message = printable(error)
    except KeyboardInterrupt:
        raise failure("interrupted") from None
    else:
        return
    finally:
        structlog.configure(**before)
    raise failure(message)
