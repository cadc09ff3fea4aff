"""`optico-worker dlq`."""

# ruff: noqa: PLC0415 (imports inside of the commands, so that `--help` answers at once)

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.commands.common import BAD_CONFIGURATION, CONNECTION, READING, failure, load_settings, told

if TYPE_CHECKING:
    from worker.ops.dlq import Selection
    from worker.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

_READS = (*CONNECTION, "KAFKA_CLIENT_RACK", "KAFKA_GROUP_ID", "KAFKA_DLQ_TOPIC", *READING)
_PLACE = re.compile(r".+-\d{1,9}-\d{1,18}", re.ASCII)


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
        if not _PLACE.fullmatch(value):
            self.fail(f"{value!r} is not TOPIC-PARTITION-OFFSET, such as shop.carts.dlq-0-15.", param, ctx)
        return str(value)


def _filters(command: Command) -> Command:
    options = (
        click.option("--reason", "reasons", multiple=True, help="Why it was rejected; repeat for several."),
        click.option("--entity", type=click.Choice(["cart", "order", "unknown"]), help="What it is of."),
        click.option("--id", "ids", multiple=True, help="Of the cart or order; repeat for several."),
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
    "  optico-worker dlq show shop.carts.dlq-0-15\n"
    "  optico-worker dlq redrive --reason unknown_visit_id --execute"
)
def dlq() -> None:
    """Reads the dead letters (KAFKA_DLQ_TOPIC), and sends chosen ones back.

    Needs neither OPTICO_API_KEY nor KAFKA_TOPICS.
    """


@dlq.command("list", epilog="\b\nExample:\n  optico-worker dlq list --entity order --since 2026-11-21T08:00:00Z")
@_filters
@click.option("--limit", type=click.IntRange(min=1), help="The newest ones only, so many.")
@_as_json
@click.pass_context
def list_command(context: click.Context, /, *, limit: int | None, as_json: bool, **filters: Any) -> None:
    """Lists dead letters, the newest last."""
    settings, topic = _settings()
    with told():
        from worker.ops.dlq import list_letters

        selection = _selection((), **filters)
        context.exit(list_letters(settings.kafka, topic, selection, limit=limit, as_json=as_json))


@dlq.command("show", epilog="\b\nExample:\n  optico-worker dlq show shop.carts.dlq-0-15")
@click.argument("letters", nargs=-1, required=True, type=_Letter(), metavar="LETTER...")
@_as_json
@click.pass_context
def show_command(context: click.Context, *, letters: tuple[str, ...], as_json: bool) -> None:
    """Shows letters with their headers and value.

    LETTER is TOPIC-PARTITION-OFFSET: the letter's own place, or its record's.
    """
    settings, topic = _settings()
    with told():
        from worker.ops.dlq import show_letters

        context.exit(show_letters(settings.kafka, topic, _selection(letters), as_json=as_json))


@dlq.command(
    "redrive",
    epilog="\b\nExamples:\n"
    "  optico-worker dlq redrive --reason unknown_visit_id            says what it would do\n"
    "  optico-worker dlq redrive --reason unknown_visit_id --execute  does it",
)
@click.argument("letters", nargs=-1, type=_Letter(), metavar="[LETTER]...")
@_filters
@click.option("--execute", is_flag=True, help="Does it. Without this nothing is changed.")
@click.option("--force", is_flag=True, help="Those too whose cart or order has a later record.")
@click.option("--again", is_flag=True, help="Those too that were redriven before.")
@click.option(
    "--max-redrives",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Refuses a letter that was redriven so often.",
)
@_as_json
@click.pass_context
def redrive_command(
    context: click.Context,
    /,
    *,
    letters: tuple[str, ...],
    execute: bool,
    force: bool,
    again: bool,
    max_redrives: int,
    as_json: bool,
    **filters: Any,
) -> None:
    """Puts letters back on the topic that they came from, for the worker to try again. A dry run without --execute.

    Chooses all letters that are not done, or those that are named and meet the filters. A letter whose cart or order
    has a later record in the same partition is skipped as superseded: it would bring back an older state. What went
    back is remembered by the committed offsets of the group KAFKA_GROUP_ID-redrive. Ctrl-C ends it after the batch.
    """
    settings, topic = _settings()
    with told():
        from worker.ops.dlq import Orders, redrive

        orders = Orders(topic, _selection(letters, **filters), max_redrives, force, again, execute)
        context.exit(redrive(settings.kafka, settings.reading(), orders, as_json=as_json))


def _settings() -> "tuple[Settings, str]":
    settings = load_settings(_READS)
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
    from worker.ops.dlq import RecordPosition, Selection

    named = frozenset(map(RecordPosition.parse, letters))
    return Selection(frozenset(reasons), entity, frozenset(ids), since, until, named)
