"""A dead letter as it stands on its topic. The headers are the event contract's; a stranger's record has none."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Self

from worker.core.state import Partition
from worker.ports import Record

PREFIX = "dlq."
REDRIVES = "dlq.redrives"
#: An inherited link to a call. On a copy in the shop's topic it tells the worker what its value lacks.
CALL_ID, AGENT = "dlq.call_id", "dlq.agent"


class RecordPosition(NamedTuple):
    """Where a record stands; as text `TOPIC-PARTITION-OFFSET`."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything else."""
        match = re.fullmatch(r"(.+)-(\d{1,9})-(\d{1,18})", text, re.ASCII)
        if match is None:
            raise ValueError("expected TOPIC-PARTITION-OFFSET, such as shop.carts.dlq-0-15")
        return cls(match[1], int(match[2]), int(match[3]))

    @property
    def at(self) -> Partition:
        return Partition(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """All of a letter but its value, which may be large. `where` is the letter's own place, `origin` its record's.

    What a letter does not say, or says in a way that nobody wrote, is None. `failed_at` in UNIX seconds, `timestamp`
    (the original record's) in milliseconds.
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
    redrives: int
    timestamp: int | None
    failed_at: float | None
    worker: str | None
    truncated: bool
    call_id: str | None
    agent: str | None

    @classmethod
    def of(cls, partition: Partition, record: Record) -> Self:
        """Never raises, whatever stands there."""
        headers = tuple((name, bytes(value or b"")) for name, value in record.headers)
        said = {name.removeprefix(PREFIX): value for name, value in reversed(headers) if name.startswith(PREFIX)}
        text = {name: value.decode("utf-8", "replace") for name, value in said.items()}
        return cls(
            where=RecordPosition(*partition, record.offset),
            origin=_origin(text),
            key=None if record.key is None else bytes(record.key),
            headers=headers,
            reason=text.get("reason"),
            message=text.get("message"),
            entity=text.get("entity"),
            id=text.get("id") or None,
            attempts=_number(text.get("attempts")),
            redrives=_number(text.get("redrives")) or 0,
            timestamp=_number(text.get("timestamp")),
            failed_at=_seconds(text.get("failed_at")),
            worker=text.get("worker"),
            truncated="truncated" in text,
            call_id=text.get("call_id") or None,
            agent=text.get("agent") or None,
        )

    @property
    def own_headers(self) -> tuple[tuple[str, bytes], ...]:
        """Those of the record itself."""
        return tuple((name, value) for name, value in self.headers if not name.startswith(PREFIX))

    @property
    def record(self) -> tuple[RecordPosition | None, int | None]:
        """Which record it is of: a topic that was created anew has others at its offsets, of another time."""
        return self.origin, self.timestamp

    @property
    def name(self) -> str:
        """The entity's, such as `cart:42`; empty where it is not known."""
        return f"{self.entity}:{self.id}" if self.id is not None else ""

    def summary(self) -> dict[str, object]:
        """For programs: every key is always there."""
        return {
            "letter": str(self.where),
            "record": None if self.origin is None else str(self.origin),
            "reason": self.reason,
            "message": self.message,
            "entity": self.entity,
            "id": self.id,
            "attempts": self.attempts,
            "redrives": self.redrives,
            "failed_at": instant(self.failed_at),
            "worker": self.worker,
            "truncated": self.truncated,
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
