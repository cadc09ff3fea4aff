"""Lanes: what waits and what is in flight for one entity. Plain state; the outbox moves it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.core.calls import Link
from worker.core.circuit_breaker import CircuitBreaker
from worker.core.event import Entity

if TYPE_CHECKING:
    from worker.core.ownership import Ownership


class Coordinates(NamedTuple):
    """Where a record stands on the topic."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class Reading(NamedTuple):
    """A record as it was read. After the log went back another record may stand at the same offset."""

    topic: str
    partition: int
    offset: int
    epoch: int


@dataclass(slots=True, eq=False)
class QueuedEvent:
    """A record that was read and is not settled yet.

    `payload` is opaque to the core (the record itself). `read_at` is monotonic, `occurred_at` UNIX seconds.
    `entity` is None for a record that could not be decoded and only awaits its dead letter. `written_at`: when the
    record was written to the log, by its timestamp (monotonic seconds). `link`: to a call, with what it inherited. A
    replaced event whose link another one carries has no payload any more, and settles with that one.
    """

    entity: Entity | None
    owner: "Ownership"
    offset: int
    payload: Any
    size: int
    read_at: float
    occurred_at: float
    written_at: float = 0.0
    link: Link | None = None

    @property
    def coordinates(self) -> Coordinates:
        return Coordinates(*self.owner.partition, self.offset)

    @property
    def reading(self) -> Reading:
        return Reading(*self.owner.partition, self.offset, self.owner.epoch)


@dataclass(slots=True, eq=False)
class Slot:
    """A place in a lane's queue, held by the newest event of its partition.

    `due` and `not_before` are monotonic seconds; before the latter it is no probe either, because the API itself asked
    for that or because it is too early to confirm. `attempts` are those that count, `tries` all consecutive failures
    (they set the delay). `mark`: answers that other entities of the kind had had at the previous attempt,
    `mark_of_other_kind`: those of the other kind. `failing_since`: when its event failed first. `confirming`: the event
    was delivered already and will be sent once more. `emptied`: in flight, and its cart was emptied since. `on_call`:
    its entity was on a call when it started last.
    """

    event: QueuedEvent
    due: float
    mark: int
    mark_of_other_kind: int = 0
    failing_since: float | None = None
    not_before: float = 0.0
    attempts: int = 0
    tries: int = 0
    confirming: bool = False
    emptied: bool = False
    on_call: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """One entity's queue: first come, first sent, one in flight.

    `suspects`: what requests carried that were given up while the API may still act on them; see `suspect`.
    `answers`: this entity's own delivered or rejected requests. `token` names the lane's valid entry in the schedule,
    0: none. `in_two_partitions`: this was counted already. `on_call_until`: when its call ends (monotonic seconds).
    `urgent`: its entry is in the schedule of those on a call.
    """

    entity: Entity
    waiting: list[Slot] = field(default_factory=list)
    in_flight: Slot | None = None
    suspects: frozenset[Reading] = frozenset()  # mostly none: an empty set for each lane would be 216 bytes
    answers: int = 0
    tried_at: float | None = None
    token: int = 0
    in_two_partitions: bool = False
    on_call_until: float = float("-inf")
    urgent: bool = False

    def suspect(self, reading: Reading) -> None:
        """The API may still act on a request that carried this.

        Two of a partition are remembered, the last one and another: more say no more than that an older state may win.
        So an entity that is never quiet for long, and often times out, costs no memory.
        """
        same = {at for at in self.suspects if at[:2] == reading[:2]} - {reading}
        if len(same) > 1:
            self.suspects -= {min(same, key=lambda at: (at.epoch, at.offset))}
        self.suspects |= {reading}

    def in_another_partition(self, owner: "Ownership") -> bool:
        """Whether anything of it that is pending is from another partition than the owner's."""
        slots = [*self.waiting, self.in_flight] if self.in_flight is not None else self.waiting
        return any(slot.event.owner.partition != owner.partition for slot in slots)

    def slot_of(self, owner: "Ownership") -> Slot | None:
        """The waiting slot of that ownership, if any: within a lane there is one at most."""
        for slot in self.waiting:
            if slot.event.owner is owner:
                return slot
        return None


@dataclass(slots=True, eq=False)
class Delivery:
    """A request to make: handed out by `Outbox.take`, to be given back to `Outbox.settle` exactly once.

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
