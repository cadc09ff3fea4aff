"""All lanes: which one is due when, which are in flight, which a partition holds back."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.core.calls import IN_A_ROW
from worker.core.circuit_breaker import KINDS, CircuitBreaker
from worker.core.event import Entity, Kind
from worker.core.lane import Delivery, Lane, QueuedEvent, Reading
from worker.core.large import LargeEvents
from worker.core.ownership import Ownership
from worker.core.rules import CONFIRM_AFTER
from worker.core.schedule import Schedule


@dataclass(slots=True)
class Lanes:
    """A lane exists while its entity has anything waiting or in flight.

    Of a lane that closes with suspects, these are remembered for as long as they may still land: a state that comes
    within that time has overtaken them.

    Lanes of entities on a call (`urgent`: how many there are) have schedules of their own, which go first.
    `_row`: how many of them started in a row while another was due.
    """

    large: LargeEvents = field(default_factory=LargeEvents)
    in_flight: set[Lane] = field(default_factory=set)
    urgent: int = 0
    _lanes: dict[Entity, Lane] = field(default_factory=dict)
    _number: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    _schedules: dict[Kind, Schedule] = field(default_factory=lambda: {kind: Schedule() for kind in KINDS})
    _urgent: dict[Kind, Schedule] = field(default_factory=lambda: {kind: Schedule(_next_token=2) for kind in KINDS})
    _last_kind: Kind = "order"
    _last_urgent_kind: Kind = "order"
    _row: int = 0
    _both_due: bool = False
    _late: dict[Entity, tuple[float, frozenset[Reading]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._lanes)

    def __getitem__(self, entity: Entity) -> Lane:
        return self._lanes[entity]

    def get(self, entity: Entity) -> Lane | None:
        """The entity's lane, if anything of it waits or is in flight."""
        return self._lanes.get(entity)

    def entities(self) -> Collection[Entity]:
        return self._lanes.keys()

    def any_of(self, kinds: Iterable[Kind]) -> bool:
        return any(self._number[kind] for kind in kinds)

    def of(self, entity: Entity, now: float) -> Lane:
        """The entity's lane, opened if need be."""
        lane = self._lanes.get(entity)
        if lane is None:
            lane = self._lanes[entity] = Lane(entity)
            self._number[entity.kind] += 1
            late = self._late.pop(entity, None)
            if late is not None and now < late[0]:
                lane.suspects = late[1]
        return lane

    def plan(self, lane: Lane) -> None:
        """Schedules a lane by the head of its queue, or parks it with the partition that holds it back."""
        if lane.in_flight is not None:
            return
        slot, schedule = lane.waiting[0], (self._urgent if lane.urgent else self._schedules)[lane.entity.kind]
        if slot.event.owner.held:
            schedule.drop(lane)
            slot.event.owner.parked[lane] = None
        else:
            schedule.put(lane, slot.due)

    def replan(self, lane: Lane) -> None:
        """The head's time has changed."""
        if lane.token:
            (self._urgent if lane.urgent else self._schedules)[lane.entity.kind].put(lane, lane.waiting[0].due)

    def on_call(self, lane: Lane, until: float, due: float) -> None:
        """The entity is on a call, until then: what waits for its window is due at `due`, if not sooner."""
        lane.on_call_until = until
        for slot in lane.waiting:
            if slot.tries == 0 and not slot.confirming:
                slot.due = min(slot.due, due)
        self._move(lane, urgent=True)

    def end_calls(self, left: Collection[Entity]) -> None:
        """Only these are on a call as far as is known."""
        for lane in self._lanes.values() if self.urgent else ():
            if lane.urgent and lane.entity not in left:
                lane.on_call_until = float("-inf")

    def _move(self, lane: Lane, *, urgent: bool) -> None:
        """To the schedule of those on a call, or from it, if the lane is scheduled."""
        scheduled = lane.token != 0
        if lane.urgent is not urgent:
            (self._urgent if lane.urgent else self._schedules)[lane.entity.kind].drop(lane)
            lane.urgent = urgent
            self.urgent += 1 if urgent else -1
        if scheduled:
            (self._urgent if urgent else self._schedules)[lane.entity.kind].put(lane, lane.waiting[0].due)

    def unpark(self, owner: Ownership) -> None:
        """What the partition held back may go, unless it holds it back for another reason."""
        if owner.held:
            return
        parked, owner.parked = owner.parked, {}
        for lane in parked:
            if lane.waiting:
                self.plan(lane)

    def due(self, now: float, kinds: tuple[Kind, ...]) -> Lane | None:
        """The lane of these kinds that goes next: one on a call, unless it is another's turn.

        No capacity is kept for calls, and while others are due at least one of any four that start is one of these.
        """
        urgent = self.first(now, kinds, urgent=True)
        other = self.first(now, kinds)
        self._both_due = other is not None
        return other if urgent is None or (self._both_due and self._row >= IN_A_ROW) else urgent

    def first(self, now: float, kinds: tuple[Kind, ...], *, urgent: bool = False) -> Lane | None:
        """The lane of these kinds that is due first; of large events only what there is room for.

        `urgent`: of those on a call, else of all others. Where both kinds have one they take turns: none waits for a
        crowd of the other.
        """
        schedules, last = self._schedules, self._last_kind
        if urgent:
            schedules, last = self._urgent, self._last_urgent_kind
        for kind in kinds if last != kinds[0] else kinds[::-1]:
            schedule = schedules[kind]
            while (first := schedule.first()) is not None and first[0] <= now:
                lane = first[1]
                event = lane.waiting[0].event
                if event.owner.held:
                    self.plan(lane)
                elif urgent and lane.on_call_until <= now:
                    self._move(lane, urgent=False)
                elif self.large.admits(event.size):
                    return lane
                else:
                    schedule.drop(lane)
                    self.large.wait(lane)
        return None

    def next_due(self, kinds: tuple[Kind, ...]) -> float | None:
        """When the first lane of these kinds is due; it may turn out to be held back by then."""
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

    def to_probe(self, breaker: CircuitBreaker, now: float) -> Lane | None:
        """The lane for the breaker's next probe; none whose `not_before` is ahead, and the last one only if alone."""
        able = [lane for lane in self._lanes.values() if lane.entity.kind in breaker.covers and _may_probe(lane, now)]
        others = [lane for lane in able if lane.entity != breaker.probed] or able
        on_call = [lane for lane in others if now < lane.on_call_until]
        turns = PROBE_TURNS if on_call else PROBE_TURNS[1:]
        turn = turns[breaker.turn % len(turns)]
        return turn(on_call if turn is _newest_on_a_call else others) if others else None

    def untried(self, breaker: CircuitBreaker, now: float) -> bool:
        """Whether an entity could be probed that was not tried since the breaker opened."""
        since = breaker.opened_at
        return any(
            (lane.tried_at is None or lane.tried_at < since)
            and lane.entity.kind in breaker.covers
            and _may_probe(lane, now)
            for lane in self._lanes.values()
        )

    def start(self, lane: Lane, now: float, breaker: CircuitBreaker | None, answers: int) -> Delivery:
        """`breaker`: whose probe it is. `answers`: how many requests were answered so far."""
        slot = lane.waiting.pop(0)
        if lane.urgent:
            self._urgent[lane.entity.kind].drop(lane)
            self._last_urgent_kind = lane.entity.kind
            slot.on_call = now < lane.on_call_until
        else:
            self._schedules[lane.entity.kind].drop(lane)
            self._last_kind = lane.entity.kind
            slot.on_call = False
        if breaker is None:  # probes have turns of their own
            self._row = self._row + self._both_due if lane.urgent else 0
        lane.in_flight = slot
        lane.tried_at = now
        self.in_flight.add(lane)
        self.large.start(slot.event.size)
        return Delivery(slot.event, lane.entity, slot, breaker, slot.confirming, now, answers)

    def landed(self, lane: Lane) -> None:
        """The lane's request is over, which may make room for large ones."""
        if lane.in_flight is not None:
            for other in self.large.finish(lane.in_flight.event.size):
                if other.waiting:
                    self.plan(other)
        lane.in_flight = None
        self.in_flight.discard(lane)

    def go_on(self, lane: Lane, now: float) -> None:
        """What comes next in a lane with nothing in flight: its next event, or its end."""
        if lane.waiting:
            self.plan(lane)
            return
        (self._urgent if lane.urgent else self._schedules)[lane.entity.kind].drop(lane)
        if lane.suspects:
            self._late[lane.entity] = now + CONFIRM_AFTER, lane.suspects
        del self._lanes[lane.entity]
        self.urgent -= lane.urgent
        self._number[lane.entity.kind] -= 1

    def hold(self, owner: Ownership) -> None:
        """Parks what waits of an ownership that holds it back from now on."""
        for event in owner.unsettled.values():
            lane = self._lanes.get(event.entity) if event.entity is not None else None
            if lane is not None and lane.waiting:
                self.plan(lane)

    def forget(self, event: QueuedEvent, now: float) -> None:
        """Takes a dead ownership's event out of its lane if it waits there; what is in flight ends on its own."""
        lane = self._lanes.get(event.entity) if event.entity is not None else None
        slot = lane.slot_of(event.owner) if lane is not None else None
        if lane is None or slot is None:
            return
        lane.waiting.remove(slot)
        if lane.in_flight is None:
            self.go_on(lane, now)

    def unclear(self, now: float) -> set[tuple[str, int]]:
        """Topics and partitions of requests that are under way, or were given up and may still take effect."""
        late = (suspects for until, suspects in self._late.values() if now < until)
        given_up = [*(lane.suspects for lane in self._lanes.values()), *late]
        under_way = {lane.in_flight.event.owner.partition for lane in self.in_flight if lane.in_flight is not None}
        return {(at.topic, at.partition) for suspects in given_up for at in suspects} | under_way

    def forget_late(self, now: float) -> None:
        for entity in [entity for entity, (until, _) in self._late.items() if now >= until]:
            del self._late[entity]

    def waive_windows(self, now: float) -> None:
        """Makes due what waits for its window only, not for a retry or a confirmation."""
        for lane in self._lanes.values():
            for slot in lane.waiting:
                if slot.tries == 0 and not slot.confirming:
                    slot.due = min(slot.due, now)
            if lane.waiting:
                self.plan(lane)


def _may_probe(lane: Lane, now: float) -> bool:
    if lane.in_flight is not None:
        return False
    slot = lane.waiting[0]
    return not slot.event.owner.held and now >= slot.not_before


def _newest(lanes: Sequence[Lane]) -> Lane:
    return max(reversed(lanes), key=lambda lane: lane.waiting[0].event.read_at)


def _newest_on_a_call(lanes: Sequence[Lane]) -> Lane:
    """Of lanes that are on a call."""
    return _newest(lanes)


def _tried_longest_ago(lanes: Sequence[Lane]) -> Lane:
    """One that was never tried goes first, and so one that was not tried since the breaker opened."""
    return min(lanes, key=lambda lane: -1.0 if lane.tried_at is None else lane.tried_at)


#: Who is probed, turn by turn; the first turn is left out while nobody is on a call.
PROBE_TURNS: Final[tuple[Callable[[Sequence[Lane]], Lane], ...]] = (_newest_on_a_call, _newest, _tried_longest_ago)
