"""What stands around a delivery queue in the state machines: two logs, what the API holds, and how requests end."""

from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final, Literal

from worker.core.calls import LINK_LASTS
from worker.core.event import Entity
from worker.core.outcome import Outcome, Result, parse_retry_after
from worker.core.state import Partition

#: The last one's events come to both partitions; poison, which fails until it is healed, is of two others only: as
#: many as the smallest bound would stop intake for good.
ENTITIES: Final = [Entity("cart", "0"), Entity("order", "1"), *(Entity("cart", str(number)) for number in range(2, 6))]
WANDERER: Final = ENTITIES[5]
POISONABLE: Final = ENTITIES[3:5]
PARTITIONS: Final = [Partition("carts", 0), Partition("carts", 1)]
#: How long after its time-out a request may still land at the API (s); the confirmation comes after 10 s.
LATEST_LANDING: Final = 9.0
#: What another process needs before it owns what was ours: all that we had sent has landed by then (s).
SESSION_TIMEOUT: Final = 20.0
#: How long after its end a process may be back (s): a static member owns its partitions again at once.
BACK_AFTER: Final = (0.0, 1.0, LATEST_LANDING, SESSION_TIMEOUT)

#: Of the records that may be linked to a call a half are; two calls of an entity contradict.
CALLS: Final[list[str | None]] = [None, None, "7", "8"]

Nature = Literal["good", "rejected", "poison", "skipped", "emptied", "invalid", "exhausted"]
NATURES: Final[list[Nature]] = ["good", "good", "good", "good", "rejected", "poison", "skipped", "emptied", "invalid"]

FAILURES: Final = {
    "5xx": Outcome(Result.RETRYABLE, "http_5xx", "HTTP 500"),
    "429": Outcome(Result.RETRYABLE, "http_429", "HTTP 429"),
    "429 with Retry-After": Outcome(Result.RETRYABLE, "http_429", "HTTP 429", retry_after=7.0),
    "429 for a day": Outcome(Result.RETRYABLE, "http_429", "HTTP 429", retry_after=86_400.0),
    "503 with Retry-After": Outcome(Result.RETRYABLE, "http_5xx", "HTTP 503", retry_after=86_400.0),
    "refused connection": Outcome(Result.RETRYABLE, "connection", "refused"),
    "key refused": Outcome(Result.KEY_REFUSED, "invalid_api_key", "Invalid API key"),
}
POISON: Final = FAILURES["5xx"]
REJECTED: Final = Outcome(Result.REJECTED, "unknown_visit_id", "Unknown visit_id")
SUSPENDED: Final = Outcome(Result.REJECTED, "other_error", "Account suspended")
TIMED_OUT: Final = Outcome(Result.RETRYABLE, "timeout", "no answer", ambiguous=True)


def busy_until(true_time: float, our_time: float) -> Outcome:
    """A 503 whose Retry-After is a date, ten seconds ahead by the API's clock, read by ours."""
    retry_after = parse_retry_after(formatdate(true_time + 10.0, usegmt=True), our_time)
    return Outcome(Result.RETRYABLE, "http_5xx", "HTTP 503", retry_after=retry_after)


@dataclass
class Record:
    """`answered`: nobody needs to send it any more. `poison` fails until it is healed.

    `call_id`: its link to a call. `linked`: nobody needs to hand that on any more. `at`: when it was written.
    """

    entity: Entity
    nature: Nature
    answered: bool = False
    call_id: str | None = None
    linked: bool = False
    at: float = 0.0


@dataclass
class Log:
    """A partition: its records, how far they were read, what is committed, and whether with a note."""

    records: list[Record] = field(default_factory=list)
    position: int = 0
    committed: int = 0
    dirty: bool = False
    read: int = 0  # the furthest ever
    owned: bool = False

    def lost(self) -> list[int]:
        """Offsets that a commit has passed although nobody settled them. Collapse is final."""
        return [
            offset
            for offset, record in enumerate(self.records[: self.committed])
            if not record.answered and (record.nature == "invalid" or not self._replaced(offset, record.entity))
        ]

    def unlinked(self) -> list[int]:
        """Offsets that a commit has passed although no request told the API of their links. A newer link of the entity
        takes an older one's place; an emptied cart and a day's distance end what is handed on.
        """
        return [
            offset
            for offset, record in enumerate(self.records[: self.committed])
            if record.call_id and not record.linked and not self._excused(offset, record)
        ]

    def _excused(self, offset: int, record: Record) -> bool:
        later = [r for r in self.records[offset + 1 : self.read] if r.entity == record.entity]
        return any(r.nature == "emptied" or r.call_id is not None or r.at - record.at > LINK_LASTS for r in later)

    def link_told(self, entity: Entity, offset: int, call_id: str | None) -> None:
        """A request, or a letter, of that offset said so."""
        for record in self.records[: offset + 1]:
            record.linked = record.linked or (record.entity == entity and record.call_id == call_id)

    def _replaced(self, offset: int, entity: Entity) -> bool:
        newer = ("good", "rejected", "poison", "exhausted", "emptied")
        return any(r.entity == entity and r.nature in newer for r in self.records[offset + 1 : self.read])

    def newest(self, entity: Entity) -> int | None:
        """The offset that the API must hold at rest; None: nothing that it must."""
        own = [(o, r) for o, r in enumerate(self.records) if r.entity == entity]
        good = max((o for o, r in own if r.nature == "good"), default=None)
        bad = max((o for o, r in own if r.nature in ("rejected", "poison", "exhausted", "emptied")), default=-1)
        return None if good is None or bad > good else good  # its successor may have replaced or dropped it


@dataclass
class Api:
    """What it holds, as (partition, offset), and the requests that it still acts on after they were given up."""

    holds: dict[Entity, tuple[Partition, int]] = field(default_factory=dict)
    landings: list[tuple[float, Entity, tuple[Partition, int]]] = field(default_factory=list)

    def land(self, until: float) -> None:
        for landing in sorted(landing for landing in self.landings if landing[0] <= until):
            self.landings.remove(landing)
            self.holds[landing[1]] = landing[2]


def home(entity: Entity) -> Partition:
    return PARTITIONS[int(entity.id) % len(PARTITIONS)]
