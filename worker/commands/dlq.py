"""`optico-worker dlq`."""

# ruff: noqa: PLC0415 (imports inside of the commands, so that `--help` answers at once)

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.commands.common import BAD_CONFIGURATION, CONNECTION, READING, failure, load_settings, told

if TYPE_CHECKING:
    from worker.ops.dlq import Selection
    from worker.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

_RATE = click.FloatRange(0, 1_000_000)
_READS = (*CONNECTION, "KAFKA_CLIENT_RACK", "KAFKA_GROUP_ID", "KAFKA_DLQ_TOPIC", *READING)


class _Instant(click.ParamType[float]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-21T08:00:00Z.", param, ctx)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


class _Letter(click.ParamType[str]):
    name = "letter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from worker.ops.dlq.letter import position

        try:
            return str(position(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _filters(command: Command) -> Command:
    options = (
        click.option("--reason", "reasons", multiple=True, help="Why it was rejected; repeat for several."),
        click.option("--entity", type=click.Choice(["cart", "order", "unknown"]), help="What it is of."),
        click.option("--id", "ids", multiple=True, help="Of this cart or order, such as 42 or cart:42; repeatable."),
        click.option("--since", type=_Instant(), help="Failed then or later, such as 2026-11-21T08:00:00Z."),
        click.option("--until", type=_Instant(), help="Failed before then."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_as_json = click.option("--json", "as_json", is_flag=True, help="A JSON object for each letter, one a line.")


@click.group(
    epilog="\b\nExamples:\n"
    "  optico-worker dlq list --reason unknown_visit_id\n"
    "  optico-worker dlq show shop.carts.dlq:0:15\n"
    "  optico-worker dlq redrive --reason unknown_visit_id --execute"
)
def dlq() -> None:
    """Reads the dead letters (KAFKA_DLQ_TOPIC), and delivers chosen ones.

    `list` and `show` need neither OPTICO_API_KEY nor KAFKA_TOPICS; `redrive` needs the worker's configuration.
    """


@dlq.command("list", epilog="\b\nExample:\n  optico-worker dlq list --entity order --since 2026-11-21T08:00:00Z")
@_filters
@click.option("--limit", type=click.IntRange(min=1), help="The newest ones only, so many.")
@_as_json
@click.pass_context
def list_command(context: click.Context, /, *, limit: int | None, as_json: bool, **filters: Any) -> None:
    """Lists dead letters, the newest last: each record once, with how many letters it has.

    A letter whose value is no valid event is `invalid`, with why: `redrive` does not send it.
    """
    settings, topic = _settings(_READS)
    with told():
        from worker.ops.dlq import list_letters

        selection = _selection((), **filters)
        context.exit(list_letters(settings, topic, selection, limit=limit, as_json=as_json))


@dlq.command("show", epilog="\b\nExample:\n  optico-worker dlq show shop.carts.dlq:0:15")
@click.argument("letters", nargs=-1, type=_Letter(), metavar="[LETTER]...")
@click.option("--id", "ids", multiple=True, help="Those of this cart or order, such as 42 or cart:42; repeatable.")
@_as_json
@click.pass_context
def show_command(context: click.Context, *, letters: tuple[str, ...], ids: tuple[str, ...], as_json: bool) -> None:
    """Shows letters with their headers and value.

    LETTER is TOPIC:PARTITION:OFFSET: the letter's own position, or its record's.
    """
    if not letters and not ids:
        raise click.UsageError("Name a LETTER, or a cart or order with --id; `dlq list` shows them.")
    settings, topic = _settings(_READS)
    with told():
        from worker.ops.dlq import show_letters

        context.exit(show_letters(settings, topic, _selection(letters, ids=ids), as_json=as_json))


@dlq.command(
    "redrive",
    epilog="\b\nExamples:\n"
    "  optico-worker dlq redrive --reason unknown_visit_id            says what it would send\n"
    "  optico-worker dlq redrive --reason unknown_visit_id --execute  sends it",
)
@click.argument("letters", nargs=-1, type=_Letter(), metavar="[LETTER]...")
@_filters
@click.option("--execute", is_flag=True, help="Sends. Without this it says what it would send.")
@click.option(
    "--accept-stale",
    is_flag=True,
    help="Sends letters too whose record is gone from the log: what was delivered since may have been newer.",
)
@click.option("--max-requests-per-second", "rate", type=_RATE, default=50, show_default=True, help="0: no limit.")
@_as_json
@click.pass_context
def redrive_command(
    context: click.Context,
    /,
    *,
    letters: tuple[str, ...],
    execute: bool,
    accept_stale: bool,
    rate: float,
    as_json: bool,
    **filters: Any,
) -> None:
    """Delivers what letters hold, or what is newer. A dry run without --execute.

    Chooses all letters, or those that are named and meet the filters. Of each letter's cart or order the newest state
    in the log is sent to the API, beside the running worker. A letter is refused if its record is gone from the log, so
    that nobody knows whether something newer was delivered. Repeating it is safe. Exits with 1 if anything was refused
    or failed.
    """
    settings, topic = _settings()
    with told():
        from worker.ops.dlq import RedriveOptions, redrive

        options = RedriveOptions(topic, _selection(letters, **filters), accept_stale, execute, rate)
        context.exit(redrive(settings, options, as_json=as_json))


def _settings(reads: Sequence[str] | None = None) -> "tuple[Settings, str]":
    settings = load_settings() if reads is None else load_settings(reads)
    if settings.kafka.dlq_topic is None:
        raise failure("KAFKA_DLQ_TOPIC is not set; set it to the dead-letter topic", BAD_CONFIGURATION)
    return settings, settings.kafka.dlq_topic


def _selection(
    letters: tuple[str, ...],
    *,
    reasons: tuple[str, ...] = (),
    entity: str | None = None,
    ids: tuple[str, ...] = (),
    since: float | None = None,
    until: float | None = None,
) -> "Selection":
    from worker.ops.dlq import Selection, position

    named = frozenset(map(position, letters))
    return Selection(frozenset(reasons), entity, frozenset(ids), since, until, named)
