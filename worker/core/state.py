"""The records that the delivery queue keeps: of a partition, of an event, of an entity. Plain state.

    OwnedPartition ◀──owner── QueuedEvent ◀──event── Slot ◀──waiting, in_flight── EntityQueue
          └──────────────────────── blocked_queues ──────────────────────────────────▲

`OwnedPartitions` says what may be committed, `EntityQueues` what is sent next, `Settling` what becomes of an event.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.core.calls import Link
from worker.core.circuit_breaker import CircuitBreaker
from worker.core.event import Entity


class Partition(NamedTuple):
    """Equal, as a tuple, to the client's own topic-partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class RecordPosition(NamedTuple):
    """Where a record is in its topic."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class RecordId(NamedTuple):
    """A record as it was read. After a truncation of the log another record may have the same offset."""

    topic: str
    partition: int
    offset: int
    epoch: int


@dataclass(slots=True, eq=False)
class QueuedEvent:
    """A record that was read and is not settled yet.

    `payload` is opaque to the core (the record itself). `read_at` is monotonic, `occurred_at` UNIX seconds.
    `entity` is None for a record that could not be decoded and only awaits its dead letter. `written_at`: the record's
    timestamp (monotonic seconds). `link`: its link to a call, own or inherited. A collapsed event whose link another
    event carries has no payload any more, and settles together with that one.
    """

    entity: Entity | None
    owner: "OwnedPartition"
    offset: int
    payload: Any
    size: int
    read_at: float
    occurred_at: float
    written_at: float = 0.0
    link: Link | None = None

    @property
    def coordinates(self) -> RecordPosition:
        return RecordPosition(*self.owner.partition, self.offset)

    @property
    def record_id(self) -> RecordId:
        return RecordId(*self.owner.partition, self.offset, self.owner.epoch)


@dataclass(slots=True, eq=False)
class OwnedPartition:
    """One assignment of a partition to this process.

    An answer for an event of a former assignment settles nothing: another owner may have read the event again.

    `unsettled` is keyed by offset in log order, so its first key is the smallest. Memory follows the pending events;
    gaps in the log cost nothing.

    `ambiguous_until`: the previous owner's requests may still be applied until then (monotonic seconds). `dirty`: the
    committed offset carries a marker that tells the next owner, after a crash, that requests may be in flight.
    `blocked_queues`: entities whose next event is of this partition while it is `held`.
    """

    partition: Partition
    epoch: int
    catch_up_until: float
    ambiguous_until: float = 0.0
    dirty: bool = False
    catching_up: bool = True
    end: int | None = None
    position: int | None = None
    committed: int | None = None
    suspended: bool = False
    alive: bool = True
    unsettled: dict[int, QueuedEvent] = field(default_factory=dict)
    blocked_queues: "dict[EntityQueue, None]" = field(default_factory=dict)

    @property
    def at_rest(self) -> bool:
        """Nothing is pending, and the position is committed with the dirty marker."""
        return (
            self.position is not None
            and self.position == self.committed
            and self.dirty
            and not self.catching_up
            and not self.unsettled
        )

    @property
    def held(self) -> bool:
        """No request of this partition may start now."""
        return self.catching_up or self.suspended

    def read(self, event_offset: int) -> None:
        """The record at this offset was read."""
        self.position = event_offset + 1

    def admit(self, payload: Any, offset: int, size: int, read_at: float, occurred_at: float) -> QueuedEvent:
        """A new unsettled event. The caller sets its entity."""
        event = QueuedEvent(None, self, offset, payload, size, read_at, occurred_at)
        self.unsettled[offset] = event
        self.position = offset + 1
        return event

    def committable(self) -> int | None:
        """The offset that may be committed: the smallest unsettled one, else the next one to read."""
        return next(iter(self.unsettled), self.position)

    def uncommitted(self) -> int:
        """How many offsets the next owner would read again."""
        if self.position is None or self.committed is None:
            return len(self.unsettled)
        return max(0, self.position - self.committed)

    def caught_up(self, now: float, *, skip_backlog: bool = False) -> bool:
        """The backlog is read (or `skip_backlog`) and the dirty marker is committed, or the wait timed out."""
        if now >= self.catch_up_until:
            return True
        read = skip_backlog or (self.end is not None and self.position is not None and self.position >= self.end)
        return read and self.dirty

    def hold_back(self, until: float) -> None:
        """No request starts until the partition has caught up, or until this time (monotonic seconds)."""
        self.catching_up, self.catch_up_until = True, until


@dataclass(slots=True, eq=False)
class Slot:
    """A place in an entity's queue. The newest event of a partition holds it.

    - `due`, `not_before`: monotonic seconds. Before `not_before` it is not sent as a probe either: the API asked for
      that (Retry-After), or a confirmation would be too early.
    - `attempts`: those that count. `consecutive_failures`: all; they set the delay.
    - `answers_seen`: answers to other entities of the kind up to the previous attempt; `answers_seen_of_other_kind`:
      answers to entities of the other kind.
    - `failing_since`: when its event first failed.
    - `confirming`: the event was delivered, and is sent once more.
    - `emptied`: its cart was emptied while it is in flight.
    - `on_call`: its entity was on a call at its last start.
    """

    event: QueuedEvent
    due: float
    answers_seen: int
    answers_seen_of_other_kind: int = 0
    failing_since: float | None = None
    not_before: float = 0.0
    attempts: int = 0
    consecutive_failures: int = 0
    confirming: bool = False
    emptied: bool = False
    on_call: bool = False


@dataclass(slots=True, eq=False)
class EntityQueue:
    """One entity's queue: first come, first sent, one in flight.

    - `ambiguous_records`: records of requests whose end is unknown: the API may still apply them. See `mark_ambiguous`.
    - `answers`: this entity's own delivered or rejected requests.
    - `token`: its valid entry in the schedule; 0: none.
    - `in_two_partitions`: the entity was counted as being in two partitions.
    - `on_call_until`: when its call ends (monotonic seconds). `urgent`: it is in the schedule of entities on a call.
    """

    entity: Entity
    waiting: list[Slot] = field(default_factory=list)
    in_flight: Slot | None = None
    ambiguous_records: frozenset[RecordId] = frozenset()  # mostly none: an empty set for each queue would be 216 bytes
    answers: int = 0
    tried_at: float | None = None
    token: int = 0
    in_two_partitions: bool = False
    on_call_until: float = float("-inf")
    urgent: bool = False

    def mark_ambiguous(self, record_id: RecordId) -> None:
        """A request with this record was given up, and the API may still apply it.

        Two records of a partition are enough to know that an older state may win. More would only cost memory for an
        entity that is never quiet and often times out.
        """
        same = {at for at in self.ambiguous_records if at[:2] == record_id[:2]} - {record_id}
        if len(same) > 1:
            self.ambiguous_records -= {min(same, key=lambda at: (at.epoch, at.offset))}
        self.ambiguous_records |= {record_id}

    def in_another_partition(self, owner: "OwnedPartition") -> bool:
        """Whether a pending event of this entity comes from another partition."""
        slots = [*self.waiting, self.in_flight] if self.in_flight is not None else self.waiting
        return any(slot.event.owner.partition != owner.partition for slot in slots)

    def slot_of(self, owner: "OwnedPartition") -> Slot | None:
        """The waiting slot of that partition; there is one at most."""
        for slot in self.waiting:
            if slot.event.owner is owner:
                return slot
        return None


@dataclass(slots=True, eq=False)
class Attempt:
    """A request to make: handed out by `DeliveryQueue.take`, to be given back to `DeliveryQueue.settle` exactly once.

    `breaker`: the open circuit breaker whose probe it is. `answers_before`: how many requests were answered by then.
    """

    event: QueuedEvent
    entity: Entity
    slot: Slot
    breaker: CircuitBreaker | None
    confirming: bool
    started_at: float
    answers_before: int

    @property
    def probe(self) -> bool:
        return self.breaker is not None

    @property
    def on_call(self) -> bool:
        """The entity was on a call when it started."""
        return self.slot.on_call
