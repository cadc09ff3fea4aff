"""The outbox: what was read and is not settled yet. The heart of the worker, and a pure state machine.

It has no threads, clocks, sockets or logging of its own: time comes in as an argument (monotonic seconds), and what is
to be done is returned for others to do. Whoever shares it between threads puts it behind one lock. Rules: the event
contract's section on delivery.

    add ──▶ lane: waiting ──take──▶ in flight ──settle──▶ delivered / rejected ──▶ offset may be committed
               ▲  │ newer event: replaced                     │
               │  └──▶ collapsed                              │ retryable: a later time
               └──────────────────────────────────────────────┘
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from worker.core.counts import Counts
from worker.core.event import Entity, Kind
from worker.core.gate import Change, Gate
from worker.core.lane import Coordinates, Delivery, Event, Lane, Slot
from worker.core.letters import Letter, Letters
from worker.core.outcome import Outcome, Result
from worker.core.ownership import Ownership, Partition
from worker.core.rate import Rate
from worker.core.schedule import Schedule

#: A partition that is behind holds its events at most this long (s).
CATCH_UP_AT_MOST: Final = 60.0
#: After an overtaken ambiguous request the newest state is sent once more this long after its delivery (s).
CONFIRM_AFTER: Final = 10.0
#: The longest wait that an entity's `Retry-After` is obeyed for (s), and the longest pause of everything on a 429.
LONGEST_RETRY_AFTER: Final = 300.0
LONGEST_PAUSE: Final = 60.0
#: What an entity that waits costs beside its record, in bytes, as measured: event, slot, lane and their places.
OVERHEAD: Final = 900


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the outbox is configured. `window` in seconds; `max_attempts` counts only with `dead_letters`."""

    delay: Callable[[int], float]
    window: float = 0.5
    max_pending: int = 50_000
    max_pending_bytes: int = 64 * 1024 * 1024
    max_attempts: int = 50
    dead_letters: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What `settle` made of an outcome, for logs and measurements.

    `retry_in`: seconds until the next attempt, None if there is none. `exhausted`: the attempts that count are used
    up. `first`: the event's first delivery, not its confirmation. `gate`: what changed about the gate.
    """

    retry_in: float | None = None
    exhausted: bool = False
    attempts: int = 0
    first: bool = False
    stale: bool = False
    gate: Change | None = None


@dataclass(slots=True)
class Outbox:
    rules: Rules
    gate: Gate = field(init=False)
    letters: Letters = field(init=False)
    rate: Rate = field(default_factory=Rate)
    counts: Counts = field(default_factory=Counts)
    paused_until: float = 0.0
    draining_until: float | None = None
    pending_bytes: int = 0
    _lanes: dict[Entity, Lane] = field(default_factory=dict)
    _flying: set[Lane] = field(default_factory=set)
    _owned: dict[Partition, Ownership] = field(default_factory=dict)
    _schedule: Schedule = field(default_factory=Schedule)
    _late: dict[Entity, tuple[float, set[Coordinates]]] = field(default_factory=dict)
    _answers: int = 0
    _epoch: int = 0

    def __post_init__(self) -> None:
        self.gate = Gate(self.rules.delay)
        self.letters = Letters(self.rules.delay)

    def __repr__(self) -> str:
        gate = f"gate shut by {self.gate.shut}" if self.gate.shut else "gate open"
        return f"<Outbox: {self.pending} pending, {self.in_flight} in flight, {len(self._owned)} partitions, {gate}>"

    # What comes in. All of these are ignored (and say so) for a partition that is not owned.

    def add(
        self,
        partition: Partition,
        offset: int,
        entity: Entity,
        payload: Any,
        *,
        size: int,
        occurred_at: float,
        now: float,
    ) -> bool:
        """Puts an event into its entity's lane; a waiting older one of the same partition is replaced."""
        owner = self._receiving(partition, offset, now)
        if owner is None:
            return False
        event = owner.admit(payload, offset, size + OVERHEAD, now, occurred_at)
        event.entity = entity
        self.pending_bytes += event.size
        lane = self._lanes.get(entity)
        if lane is None:
            lane = self._open(entity, now)
        slot = lane.slot_of(owner)
        if slot is not None:
            self._replace(lane, slot, event)
        else:
            lane.waiting.append(Slot(event, now + self.rules.window, self._answers - lane.answers))
            if len(lane.waiting) == 1:
                self._plan(lane)
        return True

    def skip(self, partition: Partition, offset: int, reason: str, now: float) -> bool:
        """Notes a record with nothing to send."""
        owner = self._receiving(partition, offset, now)
        if owner is None:
            return False
        owner.read(offset)
        self.counts.skipped[reason] += 1
        return True

    def refuse(
        self,
        partition: Partition,
        offset: int,
        payload: Any,
        *,
        size: int,
        kind: Kind | str,
        entity_id: str | None,
        reason: str,
        message: str,
        now: float,
    ) -> bool:
        """Rejects a record that can't be sent: at once, or once its dead letter is acknowledged."""
        owner = self._receiving(partition, offset, now)
        if owner is None:
            return False
        event = owner.admit(payload, offset, size + OVERHEAD, now, 0.0)
        self.pending_bytes += event.size
        self._reject(event, kind, entity_id, reason, message, attempts=0)
        return True

    def advance(self, partition: Partition, position: int) -> None:
        """The consumer's own position: it passes what is no record (transaction markers, compacted offsets)."""
        owner = self._owned.get(partition)
        if owner is not None:
            if owner.position is None or position > owner.position:
                owner.position = position
            self._end_catch_up_if_read(owner)

    # What goes out.

    def take(self, now: float) -> Delivery | None:
        """The next request to make, if one is due and nothing forbids it."""
        if now < self.paused_until or (self.draining_until is not None and now > self.draining_until):
            return None
        if self.gate.shut is not None:
            return self._take_probe(now)
        while (first := self._schedule.first()) is not None and first[0] <= now:
            lane = first[1]
            owner = lane.waiting[0].event.owner
            if owner.held:
                self._schedule.drop(lane)
                owner.parked[lane] = None
                continue
            return self._start(lane, now, probe=False) if self.rate.take(now) else None
        return None

    def wake_at(self, now: float) -> float | None:
        """When `take` may have something, unless something else happens before; None: only if it does."""
        if self.gate.shut is not None:
            if self.draining_until is not None or self.gate.probing or not self._lanes:
                return None
            return max(now, self.gate.next_probe, self.paused_until, self.rate.next_at(now))
        first = self._schedule.first()
        return None if first is None else max(now, first[0], self.paused_until, self.rate.next_at(now))

    def settle(self, delivery: Delivery, outcome: Outcome, now: float) -> Settled:
        """Finishes a delivery, or plans its next attempt. An outcome under a dead ownership settles nothing."""
        lane = self._lanes[delivery.entity]
        slot, event = delivery.slot, delivery.event
        lane.in_flight = None
        self._flying.discard(lane)
        self.counts.requests[delivery.entity.kind, outcome.result] += 1
        answered = outcome.result in (Result.DELIVERED, Result.REJECTED)
        if answered:
            self._answers += 1
            lane.answers += 1
        if outcome.ambiguous:
            lane.suspects.add(event.coordinates)
        if outcome.reason == "http_429" and outcome.retry_after is not None:
            self.paused_until = max(self.paused_until, now + min(outcome.retry_after, LONGEST_PAUSE))
        change = self.gate.observe(
            delivery.entity, outcome, now, probe=delivery.probe, others_wait=len(self._lanes) > 1
        )
        settled = Settled(stale=True)
        if event.owner.alive:
            settled = self._delivered(lane, slot, now) if outcome.result is Result.DELIVERED else Settled()
            if outcome.result is Result.REJECTED:
                self._reject(event, *delivery.entity, outcome.reason, outcome.message, attempts=slot.attempts + 1)
            elif not answered:
                settled = self._retry(lane, delivery, outcome, now)
        if lane.waiting:
            self._plan(lane)
        else:
            self._close(lane, now)
        return settled if change is None else _with_gate(settled, change)

    # Partitions.

    def assign(self, partitions: Iterable[Partition], now: float) -> list[Partition]:
        """Takes up partitions; those that are owned already go on with what they have. Returns the new ones."""
        new = []
        for partition in partitions:
            partition = Partition(*partition)  # noqa: PLW2901 - the client's own tuple would hide our name for it
            if (owner := self._owned.get(partition)) is not None:
                owner.suspended = False
                self._unpark(owner)
                continue
            self._epoch += 1
            self._owned[partition] = Ownership(partition, self._epoch, now + CATCH_UP_AT_MOST)
            new.append(partition)
        return new

    def suspend(self, partitions: Iterable[Partition]) -> None:
        """Starts nothing more of these partitions: they are about to be revoked."""
        for partition in partitions:
            if (owner := self._owned.get(partition)) is not None:
                owner.suspended = True

    def busy(self, partitions: Iterable[Partition]) -> int:
        """How many requests are in flight for these partitions."""
        owners = {owner for partition in partitions if (owner := self._owned.get(partition)) is not None}
        return sum(lane.in_flight is not None and lane.in_flight.event.owner in owners for lane in self._flying)

    def release(self, partitions: Iterable[Partition], reason: str, now: float) -> int:
        """Lets partitions go, unsettled events and all: their next owner reads them again. Returns how many."""
        released = 0
        for partition in list(partitions):
            owner = self._owned.pop(partition, None)
            if owner is None:
                continue
            owner.alive = False
            released += len(owner.unsettled)
            for event in owner.unsettled.values():
                self.pending_bytes -= event.size
                lane = self._lanes.get(event.entity) if event.entity is not None else None
                if lane is not None:
                    self._forget(lane, owner, now)
            owner.unsettled.clear()
            owner.parked.clear()
        self.letters.release()
        self.counts.released[reason] += released
        return released

    def set_end(self, partition: Partition, end: int) -> None:
        """The partition's end when it was assigned: up to there it catches up."""
        owner = self._owned.get(partition)
        if owner is not None and owner.end is None:
            owner.end = end
            self._end_catch_up_if_read(owner)

    def tick(self, now: float) -> None:
        """What time alone changes; to be called about once a second, and whenever much was added."""
        full = self.full() is not None
        for owner in self._owned.values():
            if owner.catching_up and (full or now >= owner.catch_up_until):
                self._end_catch_up(owner)
        for entity in [entity for entity, (until, _) in self._late.items() if now >= until]:
            del self._late[entity]

    def committable(self) -> dict[Partition, int]:
        """Offsets that may be committed and are not yet. All below them is settled."""
        return {
            partition: offset
            for partition, owner in self._owned.items()
            if (offset := owner.committable()) is not None and offset != owner.committed
        }

    def committed(self, offsets: dict[Partition, int]) -> None:
        """The broker acknowledged these."""
        for partition, offset in offsets.items():
            if (owner := self._owned.get(partition)) is not None:
                owner.committed = offset

    # Bounds and drain.

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    @property
    def pending(self) -> int:
        """Entities with anything unsettled, those in flight included, and rejected events that await their letter."""
        return len(self._lanes) + len(self.letters)

    @property
    def unsettled(self) -> int:
        """Events that were read and are not settled."""
        return sum(len(owner.unsettled) for owner in self._owned.values())

    @property
    def owned(self) -> dict[Partition, Ownership]:
        return self._owned

    def full(self) -> str | None:
        """The bound that is reached, by the name under which it is counted; None: there is room."""
        if self.pending == 0:
            return None
        if self.pending >= self.rules.max_pending:
            return "max_pending"
        return "max_pending_bytes" if self.pending_bytes >= self.rules.max_pending_bytes else None

    def oldest_read_at(self) -> float | None:
        """When the oldest unsettled event was read (monotonic seconds)."""
        oldest = (event.read_at for owner in self._owned.values() if (event := owner.oldest()) is not None)
        return min(oldest, default=None)

    def oldest_start(self) -> float | None:
        """When the request that is under way for longest started (monotonic seconds)."""
        return min((lane.tried_at for lane in self._flying if lane.tried_at is not None), default=None)

    def drain(self, now: float, last_start: float) -> None:
        """From now on nothing waits for a window or a backlog, and nothing starts after `last_start`."""
        self.draining_until = last_start
        for owner in self._owned.values():
            self._end_catch_up(owner)
        for lane in self._lanes.values():
            for slot in lane.waiting:
                if slot.tries == 0 and not slot.confirming:
                    slot.due = min(slot.due, now)
            if lane.waiting and lane.in_flight is None:
                self._plan(lane)

    def drained(self, now: float) -> bool:
        """Nothing is in flight and nothing more will start."""
        if self.draining_until is None or self.in_flight:
            return False
        if len(self.letters) and not self.letters.failing and now <= self.draining_until:
            return False
        wake_at = self.wake_at(now)
        return wake_at is None or wake_at > self.draining_until

    # Inside.

    def _receiving(self, partition: Partition, offset: int, now: float) -> Ownership | None:
        owner = self._owned.get(partition)
        if owner is None:
            return None
        if owner.position is not None and offset < owner.position:
            # The log went back (topic recreated, offsets out of range): what we hold belongs to another log.
            self.release([partition], "lost", now)
            self.assign([partition], now)
            owner = self._owned[partition]
        self.counts.consumed[partition[0]] += 1
        return owner

    def _open(self, entity: Entity, now: float) -> Lane:
        lane = self._lanes[entity] = Lane(entity)
        if (late := self._late.pop(entity, None)) is not None and now < late[0]:
            lane.suspects = late[1]
        return lane

    def _close(self, lane: Lane, now: float) -> None:
        if lane.suspects:
            self._late[lane.entity] = now + CONFIRM_AFTER, lane.suspects
        del self._lanes[lane.entity]

    def _replace(self, lane: Lane, slot: Slot, event: Event) -> None:
        """The newer event takes the waiting one's place, in the queue and in time."""
        if slot.confirming:
            self._finish(slot.event)
            self.counts.delivered[lane.entity.kind] += 1
            slot.confirming = False
            if slot.tries == 0:
                slot.due = event.read_at + self.rules.window
                self._plan_anew(lane)
        else:
            self._collapse(lane, slot.event)
        slot.event = event
        slot.attempts = 0

    def _collapse(self, lane: Lane, event: Event) -> None:
        self._finish(event)
        self.counts.collapsed[lane.entity.kind] += 1

    def _finish(self, event: Event) -> None:
        del event.owner.unsettled[event.offset]
        self.pending_bytes -= event.size

    def _plan(self, lane: Lane) -> None:
        """Schedules the lane by the head of its queue, or parks it with the partition that holds it back."""
        if lane.in_flight is not None:
            return
        slot = lane.waiting[0]
        if slot.event.owner.held:
            self._schedule.drop(lane)
            slot.event.owner.parked[lane] = None
        else:
            self._schedule.put(lane, slot.due)

    def _plan_anew(self, lane: Lane) -> None:
        if lane.token:
            self._schedule.put(lane, lane.waiting[0].due)

    def _unpark(self, owner: Ownership) -> None:
        if owner.held:
            return
        parked, owner.parked = owner.parked, {}
        for lane in parked:
            if lane.waiting and lane.in_flight is None:
                self._plan(lane)

    def _end_catch_up_if_read(self, owner: Ownership) -> None:
        if owner.catching_up and owner.end is not None and owner.position is not None and owner.position >= owner.end:
            self._end_catch_up(owner)

    def _end_catch_up(self, owner: Ownership) -> None:
        owner.catching_up = False
        self._unpark(owner)

    def _start(self, lane: Lane, now: float, *, probe: bool) -> Delivery:
        slot = lane.waiting.pop(0)
        self._schedule.drop(lane)
        lane.in_flight = slot
        lane.tried_at = now
        self._flying.add(lane)
        self.gate.probing = self.gate.probing or probe
        return Delivery(slot.event, lane.entity, slot, probe, slot.confirming, now)

    def _take_probe(self, now: float) -> Delivery | None:
        """Never-tried entities first, then the one tried longest ago."""
        if not self.gate.may_probe(now) or self.draining_until is not None:
            return None
        waiting = (lane for lane in self._lanes.values() if lane.in_flight is None and _may_probe(lane, now))
        lane = min(waiting, key=lambda lane: -1.0 if lane.tried_at is None else lane.tried_at, default=None)
        if lane is None or not self.rate.take(now):
            return None
        return self._start(lane, now, probe=True)

    def _delivered(self, lane: Lane, slot: Slot, now: float) -> Settled:
        event = slot.event
        overtaken = any(suspect != event.coordinates for suspect in lane.suspects)
        if slot.confirming:
            lane.suspects &= {event.coordinates}
        elif overtaken and not lane.waiting:
            slot.confirming = True
            slot.due = now + CONFIRM_AFTER
            slot.attempts = slot.tries = 0
            lane.waiting.append(slot)
            return Settled(first=True)
        self._finish(event)
        self.counts.delivered[lane.entity.kind] += 1
        return Settled(first=not slot.confirming)

    def _reject(
        self, event: Event, kind: Kind | str, entity_id: str | None, reason: str, message: str, *, attempts: int
    ) -> None:
        if self.rules.dead_letters:
            self.letters.add(Letter(event, kind, entity_id, reason, message, attempts))
        else:
            self._finish(event)
            self.counts.rejected[kind, reason] += 1

    def letter_written(self, letter: Letter) -> None:
        """The dead letter is acknowledged: its event is settled, unless it is somebody else's by now."""
        self.letters.done(letter)
        self.counts.letters[letter.reason] += 1
        if letter.event.owner.alive:
            self._finish(letter.event)
            self.counts.rejected[letter.kind, letter.reason] += 1

    def _retry(self, lane: Lane, delivery: Delivery, outcome: Outcome, now: float) -> Settled:
        slot = delivery.slot
        self.counts.retries[outcome.reason] += 1
        wait = self.rules.delay(slot.tries)
        slot.tries += 1
        others = self._answers - lane.answers
        countable = outcome.result is Result.RETRYABLE and outcome.reason != "http_429" and not delivery.probe
        if countable and others > slot.mark:
            slot.attempts += 1
        slot.mark = others
        if outcome.retry_after is not None:
            asked = min(outcome.retry_after, LONGEST_RETRY_AFTER)
            wait = max(wait, asked)
            slot.not_before = now + asked
        slot.due = now + wait
        exhausted = slot.attempts >= self.rules.max_attempts
        newer = lane.slot_of(slot.event.owner)
        if newer is not None:
            self._collapse(lane, slot.event)
            slot.event = newer.event
            slot.attempts = 0
            slot.due = max(slot.due, newer.due)
            lane.waiting.remove(newer)
        elif exhausted and self.rules.dead_letters:
            message = f"given up after {slot.attempts} attempts that counted; the last one: {outcome.message}"
            self._reject(slot.event, *lane.entity, "attempts_exhausted", message, attempts=slot.attempts)
            return Settled(exhausted=True, attempts=slot.attempts)
        lane.waiting.insert(0, slot)
        return Settled(retry_in=slot.due - now, exhausted=exhausted and newer is None, attempts=slot.attempts)

    def _forget(self, lane: Lane, owner: Ownership, now: float) -> None:
        """Takes a dead ownership's waiting slot out of a lane; what is in flight ends on its own."""
        slot = lane.slot_of(owner)
        if slot is None:
            return
        head = lane.waiting[0] is slot
        lane.waiting.remove(slot)
        if lane.in_flight is not None:
            return
        if not lane.waiting:
            self._schedule.drop(lane)
            self._close(lane, now)
        elif head:
            self._plan(lane)


def _may_probe(lane: Lane, now: float) -> bool:
    slot = lane.waiting[0]
    return not slot.event.owner.held and now >= slot.not_before


def _with_gate(settled: Settled, change: Change) -> Settled:
    return Settled(settled.retry_in, settled.exhausted, settled.attempts, settled.first, settled.stale, change)
