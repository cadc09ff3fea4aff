"""The queues of all entities: which one is due next, which are in flight, which a partition blocks."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.core.calls import IN_A_ROW
from worker.core.circuit_breaker import KINDS, CircuitBreaker
from worker.core.delivery_config import CONFIRM_AFTER
from worker.core.event import Entity, Kind
from worker.core.large import LargeEvents
from worker.core.schedule import Schedule
from worker.core.state import Attempt, EntityQueue, OwnedPartition, QueuedEvent, RecordId


@dataclass(slots=True)
class EntityQueues:
    """A queue exists while its entity has an event waiting or in flight.

    The ambiguous records of a queue that ends are kept for as long as their requests may still be applied (`_late`): a
    state that arrives within that time must be confirmed.

    Queues of entities on a call have schedules of their own, which go first. `urgent`: how many such queues there are.
    `_row`: how many of them started in a row while another queue was due.
    """

    large: LargeEvents = field(default_factory=LargeEvents)
    in_flight: set[EntityQueue] = field(default_factory=set)
    urgent: int = 0
    _queues: dict[Entity, EntityQueue] = field(default_factory=dict)
    _number: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    _schedules: dict[Kind, Schedule] = field(default_factory=lambda: {kind: Schedule() for kind in KINDS})
    _urgent: dict[Kind, Schedule] = field(default_factory=lambda: {kind: Schedule(_next_token=2) for kind in KINDS})
    _last_kind: Kind = "order"
    _last_urgent_kind: Kind = "order"
    _row: int = 0
    _both_due: bool = False
    _late: dict[Entity, tuple[float, frozenset[RecordId]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._queues)

    def __getitem__(self, entity: Entity) -> EntityQueue:
        return self._queues[entity]

    def get(self, entity: Entity) -> EntityQueue | None:
        """The entity's queue, if it has an event waiting or in flight."""
        return self._queues.get(entity)

    def entities(self) -> Collection[Entity]:
        return self._queues.keys()

    def any_of(self, kinds: Iterable[Kind]) -> bool:
        return any(self._number[kind] for kind in kinds)

    def of(self, entity: Entity, now: float) -> EntityQueue:
        """The entity's queue, made if need be."""
        queue = self._queues.get(entity)
        if queue is None:
            queue = self._queues[entity] = EntityQueue(entity)
            self._number[entity.kind] += 1
            late = self._late.pop(entity, None)
            if late is not None and now < late[0]:
                queue.ambiguous_records = late[1]
        return queue

    def schedule(self, queue: EntityQueue) -> None:
        """Schedules a queue by its first event, or adds it to the blocked queues of that event's partition."""
        if queue.in_flight is not None:
            return
        slot, schedule = queue.waiting[0], (self._urgent if queue.urgent else self._schedules)[queue.entity.kind]
        if slot.event.owner.held:
            schedule.drop(queue)
            slot.event.owner.blocked_queues[queue] = None
        else:
            schedule.put(queue, slot.due)

    def reschedule(self, queue: EntityQueue) -> None:
        """Schedules a queue anew after its first event's due time has changed."""
        if queue.token:
            (self._urgent if queue.urgent else self._schedules)[queue.entity.kind].put(queue, queue.waiting[0].due)

    def on_call(self, queue: EntityQueue, until: float, due: float) -> None:
        """The entity is on a call until then. Events that wait for their window are due at `due` at the latest."""
        queue.on_call_until = until
        for slot in queue.waiting:
            if slot.consecutive_failures == 0 and not slot.confirming:
                slot.due = min(slot.due, due)
        self._move(queue, urgent=True)

    def end_calls(self, left: Collection[Entity]) -> None:
        """No entities but these are on a call any more."""
        for queue in self._queues.values() if self.urgent else ():
            if queue.urgent and queue.entity not in left:
                queue.on_call_until = float("-inf")

    def _move(self, queue: EntityQueue, *, urgent: bool) -> None:
        """To the schedule of those on a call, or from it, if the queue is scheduled."""
        scheduled = queue.token != 0
        if queue.urgent is not urgent:
            (self._urgent if queue.urgent else self._schedules)[queue.entity.kind].drop(queue)
            queue.urgent = urgent
            self.urgent += 1 if urgent else -1
        if scheduled:
            (self._urgent if urgent else self._schedules)[queue.entity.kind].put(queue, queue.waiting[0].due)

    def unblock(self, owner: OwnedPartition) -> None:
        """Schedules the queues that the partition blocked, unless it still blocks them for another reason."""
        if owner.held:
            return
        blocked_queues, owner.blocked_queues = owner.blocked_queues, {}
        for queue in blocked_queues:
            if queue.waiting:
                self.schedule(queue)

    def due(self, now: float, kinds: tuple[Kind, ...]) -> EntityQueue | None:
        """The queue of these kinds that starts next: one on a call, unless it is the turn of the others.

        No capacity is kept for calls, and while others are due at least one of any four that start is one of these.
        """
        urgent = self.first(now, kinds, urgent=True)
        other = self.first(now, kinds)
        self._both_due = other is not None
        return other if urgent is None or (self._both_due and self._row >= IN_A_ROW) else urgent

    def first(self, now: float, kinds: tuple[Kind, ...], *, urgent: bool = False) -> EntityQueue | None:
        """The queue of these kinds that is due first; of large events only what there is room for.

        `urgent`: of those on a call, else of all others. Where both kinds have one they take turns: none waits for a
        crowd of the other.
        """
        schedules, last = self._schedules, self._last_kind
        if urgent:
            schedules, last = self._urgent, self._last_urgent_kind
        for kind in kinds if last != kinds[0] else kinds[::-1]:
            schedule = schedules[kind]
            while (first := schedule.first()) is not None and first[0] <= now:
                queue = first[1]
                event = queue.waiting[0].event
                if event.owner.held:
                    self.schedule(queue)
                elif urgent and queue.on_call_until <= now:
                    self._move(queue, urgent=False)
                elif self.large.admits(event.size):
                    return queue
                else:
                    schedule.drop(queue)
                    self.large.wait(queue)
        return None

    def next_due(self, kinds: tuple[Kind, ...]) -> float | None:
        """When the first queue of these kinds is due. It may be blocked by then."""
        due = None
        for kind in kinds:  # no comprehension: this runs for every record, and a call costs more than all else here
            first = self._schedules[kind].first()
            if first is not None and (due is None or first[0] < due):
                due = first[0]
        if self.urgent:
            for kind in kinds:
                first = self._urgent[kind].first()
                if first is not None and (due is None or first[0] < due):
                    due = first[0]
        return due

    def to_probe(self, breaker: CircuitBreaker, now: float) -> EntityQueue | None:
        """The queue for the breaker's next probe; none whose `not_before` is ahead, and the last one only if alone."""
        able = [
            queue for queue in self._queues.values() if queue.entity.kind in breaker.covers and _may_probe(queue, now)
        ]
        others = [queue for queue in able if queue.entity != breaker.probed] or able
        on_call = [queue for queue in others if now < queue.on_call_until]
        turns = PROBE_TURNS if on_call else PROBE_TURNS[1:]
        turn = turns[breaker.turn % len(turns)]
        return turn(on_call if turn is _newest_on_a_call else others) if others else None

    def untried(self, breaker: CircuitBreaker, now: float) -> bool:
        """Whether an entity could be probed that was not tried since the breaker opened."""
        since = breaker.opened_at
        return any(
            (queue.tried_at is None or queue.tried_at < since)
            and queue.entity.kind in breaker.covers
            and _may_probe(queue, now)
            for queue in self._queues.values()
        )

    def start(self, queue: EntityQueue, now: float, breaker: CircuitBreaker | None, answers: int) -> Attempt:
        """`breaker`: whose probe it is. `answers`: how many requests were answered so far."""
        slot = queue.waiting.pop(0)
        if queue.urgent:
            self._urgent[queue.entity.kind].drop(queue)
            self._last_urgent_kind = queue.entity.kind
            slot.on_call = now < queue.on_call_until
        else:
            self._schedules[queue.entity.kind].drop(queue)
            self._last_kind = queue.entity.kind
            slot.on_call = False
        if breaker is None:  # probes have turns of their own
            self._row = self._row + self._both_due if queue.urgent else 0
        queue.in_flight = slot
        queue.tried_at = now
        self.in_flight.add(queue)
        self.large.start(slot.event.size)
        return Attempt(slot.event, queue.entity, slot, breaker, slot.confirming, now, answers)

    def finish(self, queue: EntityQueue) -> None:
        """The queue's request has ended, which may make room for large events."""
        if queue.in_flight is not None:
            for other in self.large.finish(queue.in_flight.event.size):
                if other.waiting:
                    self.schedule(other)
        queue.in_flight = None
        self.in_flight.discard(queue)

    def schedule_or_remove(self, queue: EntityQueue, now: float) -> None:
        """Schedules a queue that has nothing in flight, or removes it if nothing waits."""
        if queue.waiting:
            self.schedule(queue)
            return
        (self._urgent if queue.urgent else self._schedules)[queue.entity.kind].drop(queue)
        if queue.ambiguous_records:
            self._late[queue.entity] = now + CONFIRM_AFTER, queue.ambiguous_records
        del self._queues[queue.entity]
        self.urgent -= queue.urgent
        self._number[queue.entity.kind] -= 1

    def hold(self, owner: OwnedPartition) -> None:
        """Blocks the queues of a partition that is held from now on."""
        for event in owner.unsettled.values():
            queue = self._queues.get(event.entity) if event.entity is not None else None
            if queue is not None and queue.waiting:
                self.schedule(queue)

    def forget(self, event: QueuedEvent, now: float) -> None:
        """Takes a former assignment's event out of its queue if it waits there; what is in flight ends on its own."""
        queue = self._queues.get(event.entity) if event.entity is not None else None
        slot = queue.slot_of(event.owner) if queue is not None else None
        if queue is None or slot is None:
            return
        queue.waiting.remove(slot)
        if queue.in_flight is None:
            self.schedule_or_remove(queue, now)

    def ambiguous(self, now: float) -> set[tuple[str, int]]:
        """Topics and partitions of requests that are in flight, or were given up and may still be applied."""
        late = (ambiguous_records for until, ambiguous_records in self._late.values() if now < until)
        given_up = [*(queue.ambiguous_records for queue in self._queues.values()), *late]
        under_way = {queue.in_flight.event.owner.partition for queue in self.in_flight if queue.in_flight is not None}
        return {(at.topic, at.partition) for ambiguous_records in given_up for at in ambiguous_records} | under_way

    def forget_late(self, now: float) -> None:
        for entity in [entity for entity, (until, _) in self._late.items() if now >= until]:
            del self._late[entity]

    def waive_windows(self, now: float) -> None:
        """Makes events due that wait for their window only, not for a retry or a confirmation."""
        for queue in self._queues.values():
            for slot in queue.waiting:
                if slot.consecutive_failures == 0 and not slot.confirming:
                    slot.due = min(slot.due, now)
            if queue.waiting:
                self.schedule(queue)


def _may_probe(queue: EntityQueue, now: float) -> bool:
    if queue.in_flight is not None:
        return False
    slot = queue.waiting[0]
    return not slot.event.owner.held and now >= slot.not_before


def _newest(queues: Sequence[EntityQueue]) -> EntityQueue:
    return max(reversed(queues), key=lambda queue: queue.waiting[0].event.read_at)


def _newest_on_a_call(queues: Sequence[EntityQueue]) -> EntityQueue:
    """Of queues that are on a call."""
    return _newest(queues)


def _tried_longest_ago(queues: Sequence[EntityQueue]) -> EntityQueue:
    """One that was never tried goes first, and so one that was not tried since the breaker opened."""
    return min(queues, key=lambda queue: -1.0 if queue.tried_at is None else queue.tried_at)


#: Who is probed, turn by turn; the first turn is left out while nobody is on a call.
PROBE_TURNS: Final[tuple[Callable[[Sequence[EntityQueue]], EntityQueue], ...]] = (
    _newest_on_a_call,
    _newest,
    _tried_longest_ago,
)
