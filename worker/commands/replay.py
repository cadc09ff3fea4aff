"""`optico-worker replay`."""

# ruff: noqa: PLC0415 (imports inside of the command, so that `--help` answers at once)

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.commands.common import load_settings, told

T = TypeVar("T")

if TYPE_CHECKING:
    from worker.ops.replay.targets import Place, Target

#: What a reset reads of the configuration: it needs no API key.
_RESET_READS = ("KAFKA_",)
_RESETS = ("to_datetime", "to_earliest", "to_latest", "to_offset", "shift_by", "by_duration")
_ALONGSIDE = {"start": "--from", "stop": "--to", "ids": "--id", "rate": "--max-requests-per-second"}
_DEFAULT_RATE = 50.0
_RATE = click.FloatRange(0, 1_000_000)
_PLACE = "A date and time with a zone, earliest, or TOPIC:PARTITION:OFFSET (repeatable)."


@click.command(
    epilog="\b\nExamples. Reset: set back, stop the workers first. Nothing is changed without --execute.\n"
    "  optico-worker replay --to-datetime 2026-11-21T08:00:00Z\n"
    "  optico-worker replay --by-duration PT6H --topic shop.carts --execute\n"
    "  optico-worker replay --to-offset shop.carts:0:1200 --to-offset shop.carts:1:900 --execute\n"
    "\b\nAlongside: the worker runs on.\n"
    "  optico-worker replay --alongside --from 2026-11-21T08:00:00Z --to 2026-11-21T09:00:00Z\n"
    "  optico-worker replay --alongside --from earliest --id cart:42"
)
@click.option("--to-datetime", metavar="DATETIME", help="Reset to the first event of that time; with a zone.")
@click.option("--to-earliest", is_flag=True, help="Reset to the oldest event that is kept.")
@click.option("--to-latest", is_flag=True, help="Reset to the end: what is unread is skipped.")
@click.option("--to-offset", metavar="TOPIC:PARTITION:N", multiple=True, help="Reset one partition; repeatable.")
@click.option("--shift-by", type=int, metavar="N", help="Reset by so many events; negative: back.")
@click.option("--by-duration", metavar="DURATION", help="Reset to that long ago, such as PT6H.")
@click.option("--execute", is_flag=True, help="Do the reset; without this it is only shown.")
@click.option("--alongside", is_flag=True, help="Replay beside the running worker; its group is not touched.")
@click.option("--from", "start", metavar="PLACE", multiple=True, help=f"Alongside: where the range begins. {_PLACE}")
@click.option("--to", "stop", metavar="PLACE", multiple=True, help="Where it ends, itself not included; else now.")
@click.option("--id", "ids", metavar="ENTITY", multiple=True, help="Only this one, such as cart:42 or 42; repeatable.")
@click.option("--max-requests-per-second", "rate", type=_RATE, help="Default: 50. 0: no limit.")
@click.option("--topic", "topics", multiple=True, help="Only this one of KAFKA_TOPICS; repeatable.")
@click.option("--partition", "partitions", type=click.IntRange(0), multiple=True, help="Only this one; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def replay(context: click.Context, /, **options: Any) -> None:
    """Reads events again: by resetting the group's offsets, or beside the running worker.

    A reset sends what was read before through the stopped worker once more, newest states only. Alongside sends each
    entity that occurs in a range once, in its newest state, while the worker runs. Exits with 1 if a group with live
    members is to be reset, or if anything could not be delivered.
    """
    if options["alongside"]:
        _refuse([_dashed(name) for name in (*_RESETS, "execute") if _given(options[name])], "a reset", "--alongside")
        _alongside(context, options)
    else:
        given = [name for name in _RESETS if _given(options[name])]
        extra = [option for name, option in _ALONGSIDE.items() if _given(options[name])]
        if len(given) != 1:
            found = f"not {', '.join(map(_dashed, given))}" if given else "none is given"
            names = ", ".join(map(_dashed, _RESETS))
            raise click.UsageError(f"Give exactly one of {names}, or --alongside; {found}.")
        _refuse(extra, "--alongside", _dashed(given[0]))
        _reset(given[0], options)


def _reset(name: str, options: dict[str, Any]) -> None:
    target = _parsed(lambda: _target(name, options[name]))
    if name == "to_offset":
        narrowing = [f"--{word}" for word in ("topic", "partition") if options[f"{word}s"]]
        _refuse(narrowing, "the other targets", "--to-offset, which names its partitions")
    settings = load_settings(_RESET_READS)
    with told():
        from worker.adapters.kafka.admin import open_admin
        from worker.ops.replay.log import Selection, UsageError
        from worker.ops.replay.reset import reset

        selection = Selection(options["topics"], options["partitions"])
        try:
            with open_admin(settings.kafka) as admin:
                execute, as_json = options["execute"], options["as_json"]
                reset(admin, settings.kafka, target, selection, execute=execute, as_json=as_json)
        except UsageError as error:
            raise click.UsageError(str(error)) from None


def _alongside(context: click.Context, options: dict[str, Any]) -> None:
    if not options["start"]:
        raise click.UsageError("--alongside needs --from: where the range begins.")
    from worker.core.event import Entity
    from worker.ops.replay import targets

    start = _parsed(lambda: targets.place(options["start"]))
    stop: Place | None = _parsed(lambda: targets.place(options["stop"])) if options["stop"] else None
    if isinstance(start, targets.At) and isinstance(stop, targets.At) and stop.timestamp < start.timestamp:
        raise click.UsageError("--to lies before --from, so that nothing would be sent; swap them.")
    ids = _parsed(lambda: frozenset[Entity]().union(*map(targets.entities, options["ids"])))
    settings = load_settings()
    with told():
        from worker.ops.replay.log import Selection, UsageError
        from worker.ops.replay.run import Order, alongside

        rate = _DEFAULT_RATE if options["rate"] is None else options["rate"]
        order = Order(start, stop, Selection(options["topics"], options["partitions"]), ids, rate)
        try:
            complete = alongside(settings, order, as_json=options["as_json"])
        except UsageError as error:
            raise click.UsageError(str(error)) from None
    context.exit(0 if complete else 1)


def _target(name: str, value: Any) -> "Target":
    from worker.ops.replay import targets

    match name:
        case "to_datetime":
            return targets.instant(value)
        case "by_duration":
            return targets.ago(value, datetime.now(UTC))
        case "to_offset":
            return targets.offsets(map(targets.coordinates, value))
        case "shift_by":
            return targets.Shift(value)
    return targets.Earliest() if name == "to_earliest" else targets.Latest()


def _parsed(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def _given(value: Any) -> bool:
    return value is not None and value is not False and value != ()


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")


def _refuse(options: list[str], belong_to: str, given: str) -> None:
    if options:
        raise click.UsageError(f"{', '.join(options)} can't be combined with {given}; it is for {belong_to}.")
