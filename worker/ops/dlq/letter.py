"""A dead letter as it is on its topic. The contract's headers describe it; a stranger's record has none of them."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from worker.adapters.kafka.dead_letters import LONGEST_ID, PREFIX
from worker.core.event import Entity, Event, Invalid, Kind, Skipped
from worker.core.state import Partition, RecordPosition
from worker.formats import ReadConfig, read
from worker.ops.replay.range_scan import State
from worker.ports import Record

_KINDS: dict[str | None, Kind] = {"cart": "cart", "order": "order"}
#: A stranger may write to the topic too, and a call id becomes part of the request as it is.
_CALL_ID = re.compile(r"-?[1-9][0-9]{0,17}", re.ASCII)


def position(text: str) -> RecordPosition:
    """`TOPIC:PARTITION:OFFSET`; dashes do as well. Raises ValueError, in words, for anything else."""
    match = re.fullmatch(r"(.+)([:-])(\d{1,9})\2(\d{1,18})", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not TOPIC:PARTITION:OFFSET, such as shop.carts.dlq:0:15")
    return RecordPosition(match[1], int(match[3]), int(match[4]))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """All of a letter but its value, which may be large. `where` is the letter's position, `origin` its record's.

    What a letter does not say, or says in a way that no worker writes, is None. `failed_at` in UNIX seconds,
    `timestamp` (the original record's) in milliseconds. `event`: the entity that its value is an event of, as events
    are read now; `invalid`: why its value is none. A truncated letter has neither. `letters`: how many there are of
    its record.
    """

    where: RecordPosition
    origin: RecordPosition | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str | None
    message: str | None
    entity: str | None
    id: str | None
    attempts: int | None
    timestamp: int | None
    failed_at: float | None
    worker: str | None
    truncated: bool
    call_id: str | None
    agent: str | None
    event: Entity | None = None
    invalid: str | None = None
    letters: int = 1

    @classmethod
    def of(cls, partition: Partition, record: Record, config: ReadConfig) -> Self:
        """Never raises, whatever the record holds."""
        headers = tuple((name, bytes(value or b"")) for name, value in record.headers)
        said = {name.removeprefix(PREFIX): value for name, value in reversed(headers) if name.startswith(PREFIX)}
        text = {name: value.decode("utf-8", "replace") for name, value in said.items()}
        call_id = text.get("call_id", "")
        letter = cls(
            where=RecordPosition(*partition, record.offset),
            origin=_origin(text),
            key=None if record.key is None else bytes(record.key),
            headers=headers,
            reason=text.get("reason"),
            message=text.get("message"),
            entity=text.get("entity"),
            id=text.get("id") or None,
            attempts=_number(text.get("attempts")),
            timestamp=_number(text.get("timestamp")),
            failed_at=_seconds(text.get("failed_at")),
            worker=text.get("worker"),
            truncated="truncated" in text,
            call_id=call_id if _CALL_ID.fullmatch(call_id) else None,
            agent=text.get("agent") or None,
        )
        return letter if letter.truncated else letter._read(record, config)

    def _read(self, record: Record, config: ReadConfig) -> Self:
        topic = self.where.topic if self.origin is None else self.origin.topic
        match read(record.value, config.for_topic(topic), self.timestamp or 0):
            case Event(entity=entity):
                return replace(self, event=entity)
            case Invalid() as invalid:
                return replace(self, invalid=invalid.message)
            case Skipped(reason=reason):
                return replace(self, invalid=f"nothing to send ({reason})")

    @property
    def named(self) -> Entity | None:
        """The entity that the headers name; None: none, or not all of its id."""
        kind = _KINDS.get(self.entity)
        known = kind is not None and self.id is not None and len(self.id) < LONGEST_ID
        return Entity(kind, self.id) if known else None  # type: ignore[arg-type]  # mypy does not see it

    @property
    def renamed(self) -> bool:
        """Whether its value is an event of another entity than when it was rejected: prefixes were changed."""
        if self.event is None:
            return False
        kind, id_ = self.event
        return self.id not in (None, id_[:LONGEST_ID]) or _KINDS.get(self.entity, kind) != kind

    @property
    def state(self) -> State:
        """Its record as a state of the entity, without the value. For letters with an origin and a timestamp."""
        assert self.origin is not None  # noqa: S101 - for the type checker
        assert self.timestamp is not None  # noqa: S101 - for the type checker
        return State(self.origin, self.timestamp, b"", call_id=self.call_id, agent=self.agent)

    @property
    def record(self) -> object:
        """Equal for letters of the same record. A topic that was created anew has others at its offsets."""
        return self.where if self.origin is None else (self.origin, self.timestamp)

    @property
    def name(self) -> str:
        """The entity's, such as `cart:42`; empty where it is not known."""
        return f"{self.entity}:{self.id}" if self.id is not None else ""

    def summary(self) -> dict[str, object]:
        """For programs: every key is always there."""
        return {
            "letter": str(self.where),
            "letters": self.letters,
            "record": None if self.origin is None else str(self.origin),
            "reason": self.reason,
            "message": self.message,
            "entity": self.entity,
            "id": self.id,
            "attempts": self.attempts,
            "failed_at": instant(self.failed_at),
            "worker": self.worker,
            "truncated": self.truncated,
            "invalid": self.invalid,
        }


def instant(seconds: float | None) -> str | None:
    """UNIX seconds in ISO 8601, UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _origin(said: dict[str, str]) -> RecordPosition | None:
    topic, partition, offset = said.get("topic"), _number(said.get("partition")), _number(said.get("offset"))
    return None if not topic or partition is None or offset is None else RecordPosition(topic, partition, offset)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
