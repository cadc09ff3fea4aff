"""Where in the log a replay begins or ends: as it is written on the command line, and as offsets. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from worker.core.event import Entity, Kind
from worker.core.state import Partition


@dataclass(frozen=True, slots=True)
class Earliest:
    """The oldest record that is kept."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The end of the log."""


@dataclass(frozen=True, slots=True)
class At:
    """The first record of that time (UNIX milliseconds) or later."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class Offsets:
    """These offsets of these partitions, and of no others."""

    by_partition: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class Shift:
    """So many records on from where the group is; negative: back."""

    by: int


#: Of TOPIC:PARTITION:OFFSET.
_COLONS = 2

Place = Earliest | Latest | At | Offsets
Target = Place | Shift


def instant(text: str) -> At:
    """`2026-11-21T08:00:00Z`. Raises ValueError, in words, if it is no date and time with a zone."""
    example = "such as 2026-11-21T08:00:00Z or 2026-11-21T09:00:00+01:00"
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date and time (ISO 8601), {example}") from None
    if when.tzinfo is None:
        raise ValueError(
            f"{text!r} names no time zone, so its instant is not known; add Z for UTC or an offset, {example}"
        )
    return _at(when)


def ago(text: str, now: datetime) -> At:
    """The instant that lies an ISO 8601 duration before `now`. Raises ValueError, in words, if it is none."""
    example = "such as PT6H, PT30M or P1DT12H"
    days = text.partition("T")[0]
    if re.search("[YM]", days, re.IGNORECASE):
        raise ValueError(f"{text!r} has years or months, which have no fixed length; use days, {example}")
    try:
        duration = TypeAdapter(timedelta).validate_python(text) if text[:1] in ("P", "p") else timedelta(-1)
        if duration >= timedelta(0):
            return _at(now - duration)
    except (ValidationError, OverflowError):
        pass
    raise ValueError(f"{text!r} is no duration (ISO 8601), {example}")


def coordinates(text: str) -> tuple[Partition, int]:
    """`TOPIC:PARTITION:OFFSET`. Raises ValueError, in words."""
    match = re.fullmatch(r"([^:]+):(\d{1,9}):(\d{1,18})", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not TOPIC:PARTITION:OFFSET, such as shop.carts:0:1200")
    return Partition(match[1], int(match[2])), int(match[3])


def entities(text: str) -> frozenset[Entity]:
    """`cart:42`, `order:1001`, or `42`, which means both kinds. Raises ValueError, in words."""
    kind, colon, id_ = text.partition(":")
    kinds: dict[str, Kind] = {"cart": "cart", "order": "order"}
    if colon and kind in kinds:
        found = frozenset({Entity(kinds[kind], id_)})
    else:
        id_, found = text, frozenset(Entity(kind, text) for kind in kinds.values())
    if not id_:
        raise ValueError(f"{text!r} names no cart or order; write an id such as cart:42 or 42")
    return found


def place(texts: Iterable[str]) -> Place:
    """One of the words `earliest` and `latest`, one date and time, or offsets of as many partitions as there are texts.

    Raises ValueError, in words.
    """
    texts = list(texts)
    if len(texts) == 1 and texts[0] in ("earliest", "latest"):
        return Earliest() if texts[0] == "earliest" else Latest()
    if len(texts) == 1 and (_is_date(texts[0]) or texts[0].count(":") != _COLONS):
        return instant(texts[0])
    return offsets(map(coordinates, texts))


def offsets(given: Iterable[tuple[Partition, int]]) -> Offsets:
    """Raises ValueError, in words, if a partition is named twice."""
    by_partition: dict[Partition, int] = {}
    for partition, offset in given:
        if by_partition.setdefault(partition, offset) != offset:
            raise ValueError(f"{partition.topic}:{partition.partition} is given two offsets; give one")
    return Offsets(by_partition)


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _at(when: datetime) -> At:
    milliseconds = (when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
    if milliseconds < 0:
        raise ValueError("it lies before 1970, and so before any event; use --to-earliest, or --from earliest")
    return At(int(milliseconds))
