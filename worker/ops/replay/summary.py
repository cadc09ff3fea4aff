"""What a replay beside the worker did, for people and for programs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from worker.core.state import Partition
from worker.ops.replay.alongside import Report
from worker.ops.replay.offset_range import OffsetRange
from worker.ops.replay.range_scan import Refusal
from worker.ops.terminal import emit, note, table

_COLUMNS = ("topic", "partition", "offset", "entity", "reason", "message")


def show(
    report: Report,
    spans: Mapping[Partition, OffsetRange],
    seconds: float,
    *,
    options: Sequence[str],
    mask: Callable[[str], str],
    as_json: bool,
) -> None:
    """The summary goes to standard output; what is left to do, with these options again, beside it.

    `mask` takes the secrets out of a text: the API may repeat the key that it was sent.
    """
    for refusals in (report.refusals, report.failing):
        refusals[:] = [replace(refusal, message=mask(refusal.message)) for refusal in refusals]
    if as_json:
        emit(_document(report, spans, seconds))
    else:
        said = (
            f"{_count(report.entities, 'entity', 'entities')} in {_count(report.events, 'event')}: ",
            f"{_count(report.requests, 'request')} in {seconds:.1f} s; {report.delivered} delivered, ",
            f"{_count(len(report.refusals), 'event')} rejected, {report.superseded} superseded by newer ones meanwhile",
            f", {_count(report.emptied, 'cart')} emptied" if report.emptied else "",
        )
        click.echo("".join(said))
        if report.refusals:
            table("Rejected", _COLUMNS, map(_row, report.refusals))
        if report.failing:
            table("Failing when it ended", _COLUMNS, map(_row, report.failing))
    if not report.entities and not report.refusals:
        note(_nothing(spans))
    if report.unsent or report.unchecked:
        _say_what_is_left(report, options)


def _nothing(spans: Mapping[Partition, OffsetRange]) -> str:
    held = [f"{topic}:{number} (offset {span.stop})" for (topic, number), span in spans.items() if span.held_up]
    if not held:
        return "nothing in the range is to be sent"
    return f"nothing in the range can be read and is to be sent: an open transaction holds up {', '.join(held)}"


def _say_what_is_left(report: Report, options: Sequence[str]) -> None:
    if report.unchecked:
        note(
            f"{_count(report.unchecked, 'entity was', 'entities were')} sent, or about to be, and not checked:"
            " until the replay is repeated they may be older than the topic"
        )
    done = report.entities - report.unsent - report.unchecked
    places = " ".join(
        f"--from {topic}:{number}:{start} --to {topic}:{number}:{stop}"
        for (topic, number), (start, stop) in report.open_in.items()
    )
    note(
        f"stopped: {done} of {report.entities} entities are done; the same command is safe to repeat,"
        f" and this goes on where it stood: --alongside {' '.join([places, *options])}"
    )


def _document(report: Report, spans: Mapping[Partition, OffsetRange], seconds: float) -> dict[str, Any]:
    return {
        "complete": report.complete,
        "range": [
            {"topic": topic, "partition": number, "from": span.start, "to": span.stop, "remark": span.remark}
            for (topic, number), span in spans.items()
        ],
        "events": report.events,
        "entities": report.entities,
        "requests": report.requests,
        "delivered": report.delivered,
        "superseded": report.superseded,
        "emptied": report.emptied,
        "unsent": report.unsent,
        "unchecked": report.unchecked,
        "seconds": round(seconds, 3),
        "rejected": _documents(report.refusals),
        "failing": _documents(report.failing),
        "go_on_at": [
            {"topic": topic, "partition": number, "offset": start, "to": stop}
            for (topic, number), (start, stop) in report.open_in.items()
        ],
    }


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _documents(refusals: Sequence[Refusal]) -> list[dict[str, Any]]:
    return [dict(zip(_COLUMNS, _row(refusal), strict=True)) for refusal in refusals]


def _row(refusal: Refusal) -> tuple[Any, ...]:
    return (*refusal.at, refusal.entity, refusal.reason, refusal.message)
