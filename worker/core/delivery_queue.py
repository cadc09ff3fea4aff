"""The delivery queue: what was read and is not settled yet. The heart of the worker, and a pure state machine.

It has no threads, clocks, sockets or logging of its own: time comes in as an argument (monotonic seconds), and what is
to be done is returned for others to do. Whoever shares it between threads puts it behind one lock. Rules: the event
contract's section on delivery.

    add ──▶ queue: waiting ──take──▶ in flight ──settle──▶ delivered / rejected ──▶ offset may be committed
               ▲  │ newer event: replaced                     │
               │  └──▶ collapsed                              │ retryable: a later time
               └──────────────────────────────────────────────┘
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker.core.calls import CALL_RETRY, Calls, link
from worker.core.circuit_breaker import KINDS, CircuitBreaker, CircuitBreakers
from worker.core.counts import Counts
from worker.core.delivery_config import CONFIRM_AFTER, OVERHEAD, VISIT_LIFETIME, DeliveryConfig, SettleResult
from worker.core.entity_queues import EntityQueues
from worker.core.event import Entity, Kind, Skipped
from worker.core.letters import Letter, Letters
from worker.core.outcome import UNKNOWN_VISIT, Outcome, Result
from worker.core.owned_partitions import OwnedPartitions
from worker.core.pause import Pause
from worker.core.settling import SPARED, Settling
from worker.core.state import Attempt, EntityQueue, OwnedPartition, Partition, QueuedEvent, Slot
from worker.core.token_bucket import TokenBucket


@dataclass(slots=True)
class DeliveryQueue:
    config: DeliveryConfig
    breakers: CircuitBreakers = field(init=False)
    letters: Letters = field(init=False)
    pause: Pause = field(init=False)
    rate: TokenBucket = field(default_factory=TokenBucket)
    counts: Counts = field(default_factory=Counts)
    calls: Calls = field(default_factory=Calls)
    #: Until when (monotonic seconds) nobody else can have been given our partitions. Past it nothing starts.
    lease_until: float = float("inf")
    #: How often partitions were asked back or went. What was committed before the last time says nothing any more.
    handovers: int = 0
    _queues: EntityQueues = field(default_factory=EntityQueues)
    _owners: OwnedPartitions = field(default_factory=OwnedPartitions)
    _last_start: float = float("inf")
    _draining: bool = False
    _settling: Settling = field(init=False)

    def __post_init__(self) -> None:
        self.breakers = CircuitBreakers(self.config.delay, self.config.rejection_limit)
        self.letters = Letters(self.config.delay)
        self.pause = Pause(self.config.delay)
        self._queues.large.at_once = self.config.large_at_once
        self._settling = Settling(self.config, self.letters, self.counts)

    def __repr__(self) -> str:
        counted = f"{self.pending} pending, {self.in_flight} in flight, {len(self.owned)} partitions"
        return f"<DeliveryQueue: {counted}, circuit breakers {self.breakers!r}>"

    # What comes in. Each of these says False, and does nothing, for a partition that is not owned.

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
        age: float = 0.0,
        call_id: str | None = None,
        agent: str | None = None,
    ) -> bool:
        """Puts an event into its entity's queue; a waiting older one of the same partition is replaced.

        `size` is the record's, in bytes; `occurred_at` UNIX seconds; `age`: seconds since the record was written;
        `call_id` and `agent`: its link to a call.
        """
        owner = self._receive(partition, offset, now)
        if owner is None:
            return False
        event = owner.admit(payload, offset, size + OVERHEAD, now, occurred_at)
        event.entity, event.written_at = entity, now - age
        if call_id is not None or agent is not None:
            self._link(event, call_id, agent, now)
        self._settling.admit(event)
        queue = self._queues.of(entity, now)
        if self.calls.by_entity:
            self._look_for_call(queue, now)
        slot = queue.slot_of(owner)
        if slot is not None:
            self._replace(queue, slot, event)
        else:
            if (queue.waiting or queue.in_flight is not None) and not queue.in_two_partitions:
                self._look_for_two_partitions(queue, owner)
            window = self._call_window if now < queue.on_call_until else self.config.window
            slot = Slot(event, now + window, self._settling.answers_of_others(queue))
            if queue.waiting:
                queue.waiting.append(slot)
            else:
                queue.waiting = [slot]  # one that is appended to would take room for four
                self._queues.schedule(queue)
                if entity.kind not in self.breakers.closed and queue.tried_at is None:
                    self.breakers.hurry(entity.kind, now)
        return True

    def overtaken(self, partition: Partition, kind: Kind, events: int) -> bool:
        """Counts events that a newer one of the same batch replaces: they need not come in to be collapsed.

        To be told before the newer one is added, which has a higher offset, so no commit can pass these.
        """
        if partition not in self.owned:
            return False
        self.counts.consumed[partition[0]] += events
        self.counts.collapsed[kind] += events
        return True

    def skip(self, partition: Partition, offset: int, skipped: Skipped, now: float) -> bool:
        """Counts a record with nothing to send. An emptied cart drops the older state of its entity."""
        owner = self._receive(partition, offset, now)
        if owner is None:
            return False
        owner.read(offset)
        self.counts.skipped[skipped.kind, skipped.reason] += 1
        if skipped.reason == "empty_products" and skipped.entity is not None:
            self._empty(skipped.entity, owner, now)
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
        owner = self._receive(partition, offset, now)
        if owner is None:
            return False
        event = owner.admit(payload, offset, size + OVERHEAD, now, 0.0)
        self._settling.admit(event)
        self._settling.reject(Letter(event, kind, entity_id, reason, message, attempts=0))
        return True

    def advance(self, partition: Partition, position: int, now: float) -> int | None:
        """The consumer's own position, once all that it has read came in.

        It passes what is no record (transaction markers, compacted offsets), and goes back with the log. Returns how
        many events were given up then; None: it did not.
        """
        owner, given_up = self._owners.get(partition), None
        if owner is not None:
            if owner.position is not None and position < owner.position:
                before = len(owner.unsettled)
                owner = self._cut(owner, position, now)
                given_up = before - len(owner.unsettled)
            if owner.position != position:
                owner.position = position
                self._owners.touch(owner)
            self._catch_up(owner, now)
        return given_up

    # What goes out.

    def take(self, now: float) -> Attempt | None:
        """The next request to make, if one is due and nothing forbids it."""
        if now < self.pause.until or now > self._last_start or now >= self.lease_until:
            return None
        breaker, queue, breakers = None, None, self.breakers
        if breakers.closed is not KINDS:
            breaker, queue = self._probe(now)
        if queue is None and breakers.closed:
            queues = self._queues
            queue = queues.due(now, breakers.closed) if queues.urgent else queues.first(now, breakers.closed)
        if queue is None or not self.rate.take(now):
            return None
        if breaker is not None:
            breaker.probe(queue.entity)
        return self._queues.start(queue, now, breaker, breakers.answers)

    def wake_at(self, now: float) -> float | None:
        """When `take` may have something, unless something else happens before; None: only if it does."""
        if now > self._last_start or now >= self.lease_until:
            return None
        due = self._queues.next_due(self.breakers.closed)
        if self.breakers.closed is not KINDS and not self._draining:
            probes = [
                breaker.next_probe
                for breaker in self.breakers.open()
                if not breaker.probing and self._queues.any_of(breaker.covers)
            ]
            due = min(probes if due is None else [due, *probes], default=None)
        return None if due is None else max(now, due, self.pause.until, self.rate.next_at(now))

    def settle(self, attempt: Attempt, outcome: Outcome, now: float) -> SettleResult:
        """Finishes a delivery, or plans its next attempt. An outcome under a former assignment settles nothing."""
        queue, breaker = self._queues[attempt.entity], attempt.breaker
        self._queues.finish(queue)
        self._note(queue, attempt, outcome, now)
        own_fault = _is_own_fault(attempt, outcome, now)
        spared = breaker is not None and self.breakers.spares(attempt.entity.kind, outcome, own_fault=own_fault)
        came = replace(outcome, result=Result.RETRYABLE, reason=SPARED) if spared else outcome
        settled = self._settling.conclude(queue, attempt, came, now)
        self._queues.go_on(queue, now)
        changes = self.breakers.observe(
            attempt.entity,
            outcome,
            now,
            pending=self._queues.entities(),
            probe=breaker,
            own_fault=own_fault,
            answered_since=attempt.answers_before != self.breakers.answers,
        )
        if breaker is not None and breaker.reason is not None:
            self._plan_probe(breaker, outcome, now)
        return replace(settled, changes=changes) if changes else settled

    def letter_written(self, letter: Letter) -> None:
        """The dead letter is acknowledged: its event is settled, unless it is somebody else's by now."""
        self._settling.letter_written(letter)

    # Partitions.

    @property
    def owned(self) -> Mapping[Partition, OwnedPartition]:
        return self._owners.by_partition

    @property
    def assignment(self) -> int:
        """Changes whenever a partition comes or goes."""
        return self._owners.version

    def without_position(self) -> list[Partition]:
        """Partitions of which the next offset to read is not known yet."""
        return [owner.partition for owner in self._owners.active if owner.position is None]

    def without_end(self) -> bool:
        """Whether the end of a partition that catches up is not known yet."""
        return any(owner.end is None for owner in self._owners.active)

    def assign(self, partitions: Iterable[Partition], now: float) -> list[Partition]:
        """Takes up partitions; those that are owned already go on with what they have. Returns the new ones."""
        new = []
        for partition in partitions:
            if (owner := self._owners.get(partition)) is not None:
                owner.suspended = False
                if not (owner.dirty or owner.catching_up):
                    owner.hold_back(now)
                    self._owners.touch(owner)
                self._unpark(owner, now)
            else:
                self._owners.begin(partition, now)
                new.append(partition)
        return new

    def suspend(self, partitions: Iterable[Partition]) -> None:
        """Starts nothing more of these partitions: they are about to be revoked."""
        self.handovers += 1
        for owner in self._owners.among(partitions):
            owner.suspended = True

    def busy(self, partitions: Iterable[Partition]) -> int:
        """How many requests are in flight for these partitions."""
        owners = set(self._owners.among(partitions))
        return sum(
            queue.in_flight is not None and queue.in_flight.event.owner in owners for queue in self._queues.in_flight
        )

    def release(self, partitions: Iterable[Partition], reason: str, now: float) -> int:
        """Lets partitions go, unsettled events and all: their next owner reads them again. Returns how many."""
        self.handovers += 1
        partitions = list(partitions)
        released = self._drop([one for partition in partitions for one in self._owners.end(partition)], reason, now)
        for partition in partitions:
            self.calls.end(partition)
        self._queues.end_calls(self.calls.by_entity)
        return released

    def ambiguous(self, partitions: Iterable[Partition], now: float) -> set[Partition]:
        """Those of which a request may still take effect after we have let them go: who is next must know."""
        ambiguous = self._queues.ambiguous(now)
        owners = self._owners.among(partitions)
        return {owner.partition for owner in owners if owner.partition in ambiguous or now < owner.ambiguous_until}

    def found_dirty(self, partitions: Iterable[Partition], now: float) -> None:
        """The former owner left these unclear: what is delivered soon is sent once more, as after a time-out."""
        for owner in self._owners.among(partitions):
            owner.ambiguous_until, owner.dirty = now + CONFIRM_AFTER, True
            self._owners.touch(owner)
            self._catch_up(owner, now)

    def set_end(self, partition: Partition, end: int, now: float) -> None:
        """The partition's end when it was assigned: up to there it catches up."""
        owner = self._owners.get(partition)
        if owner is not None and owner.end is None:
            owner.end = end
            self._catch_up(owner, now)

    def blocked(self, partitions: Iterable[Partition], now: float) -> None:
        """These can't be read on just now, so their events no longer wait for the partition's end."""
        for owner in self._owners.among(partitions):
            self._catch_up(owner, now, anyway=True)

    def tick(self, now: float) -> None:
        """What time alone changes; to be called about once a second, and whenever much was added.

        While intake is paused a backlog can't be read to its end, so waiting for that would be waiting for nothing.
        """
        paused = self.full() is not None or self.letters.failing
        for owner in self._owners.active:
            self._catch_up(owner, now, anyway=paused)
        self._owners.forget_resting()
        self._queues.forget_late(now)

    def committable(self) -> dict[Partition, int]:
        """Offsets to commit, with the note that requests may be under way. All below them is settled."""
        return self._owners.committable()

    def unnoted(self) -> bool:
        """Whether a commit is urgent: until it is acknowledged nothing is sent of a partition."""
        return self._owners.unnoted()

    def uncommitted(self) -> int:
        """How many offsets were read and are not committed."""
        return self._owners.uncommitted()

    def last_committable(self, partitions: Iterable[Partition], now: float) -> dict[Partition, int]:
        """Offsets to commit before these go: what has changed, or has a note that does not hold any more."""
        going = set(partitions)
        ambiguous = self.ambiguous(going, now)
        owners = self._owners.among(going)
        return {
            owner.partition: offset
            for owner in owners
            if (offset := owner.committable()) is not None
            and (offset != owner.committed or owner.dirty != (owner.partition in ambiguous))
        }

    def committed(
        self, offsets: Mapping[Partition, int], now: float, ambiguous: Collection[Partition] | None = None
    ) -> None:
        """The broker acknowledged these, with the note at those that are `ambiguous`; None: at all of them."""
        for owner in self._owners.among(offsets):
            owner.committed = offsets[owner.partition]
            owner.dirty = ambiguous is None or owner.partition in ambiguous
            self._owners.touch(owner)
            self._catch_up(owner, now, anyway=self._draining)

    def doubt(self, partitions: Iterable[Partition]) -> None:
        """Nobody knows whether the last commit of these arrived: their note is to be written again."""
        for owner in self._owners.among(partitions):
            owner.dirty = False
            self._owners.touch(owner)

    # Bounds and drain.

    @property
    def in_flight(self) -> int:
        return len(self._queues.in_flight)

    @property
    def pending_bytes(self) -> int:
        """What unsettled events take in memory, about."""
        return self._settling.pending_bytes

    @property
    def pending(self) -> int:
        """Entities with anything unsettled, those in flight included, and rejected events that await their letter."""
        return len(self._queues) + len(self.letters)

    @property
    def unsettled(self) -> int:
        """Events that were read and are not settled."""
        return self._owners.unsettled()

    def full(self) -> str | None:
        """The bound that is reached, by the name under which it is counted; None: there is room."""
        if self.pending == 0:
            return None
        if self.pending >= self.config.max_pending:
            return "max_pending"
        return "max_pending_bytes" if self.pending_bytes >= self.config.max_pending_bytes else None

    def oldest_read_at(self) -> float | None:
        """When the oldest unsettled event was read (monotonic seconds)."""
        return self._owners.oldest_read_at()

    def oldest_start(self) -> float | None:
        """When the request that is under way for longest started (monotonic seconds)."""
        return min((queue.tried_at for queue in self._queues.in_flight if queue.tried_at is not None), default=None)

    def drain(self, now: float, last_start: float) -> None:
        """From now on nothing waits for a window or a backlog, and nothing starts after `last_start`."""
        self._draining, self._last_start = True, last_start
        for owner in self.owned.values():
            self._catch_up(owner, now, anyway=True)
        self._queues.waive_windows(now)

    def drained(self, now: float) -> bool:
        """Nothing is in flight and nothing more will start."""
        if not self._draining or self.in_flight:
            return False
        if len(self.letters) and not self.letters.failing and now <= self._last_start:
            return False
        if self._awaits_notes(now):
            return False
        wake_at = self.wake_at(now)
        return wake_at is None or wake_at > self._last_start

    # Inside.

    def _receive(self, partition: Partition, offset: int, now: float) -> OwnedPartition | None:
        owner = self._owners.get(partition)
        if owner is None:
            return None
        if owner.position is not None and offset < owner.position:
            owner = self._cut(owner, offset, now)
        self._owners.active[owner] = None  # `touch`, without a call for each record
        self.counts.consumed[partition[0]] += 1
        return owner

    def _cut(self, owner: OwnedPartition, end: int, now: float) -> OwnedPartition:
        """The log is another one, or has lost its end (topic recreated, brokers that elected a leader without it).

        What we hold from there on is void. What is below is still to be sent, as nobody will read it again.
        """
        self.handovers += 1
        new, gone = self._owners.cut(owner, end, now)
        self._drop(gone, "lost", now)
        for event in gone:
            self._settling.let_go(event, new)
        self._queues.hold(new)
        return new

    def _drop(self, events: Collection[QueuedEvent], reason: str, now: float) -> int:
        """Forgets unsettled events of dead assignments. Returns how many."""
        for event in events:
            self._settling.forget(event)
            self._queues.forget(event, now)
        self.letters.release()
        self.counts.released[reason] += len(events)
        return len(events)

    def _awaits_notes(self, now: float) -> bool:
        """Whether something may start yet, as soon as its note is written."""
        if now > self._last_start or now >= self.lease_until:
            return False
        blocked_queues = (
            queue for owner in self.owned.values() if not owner.suspended for queue in owner.blocked_queues
        )
        return any(queue.entity.kind in self.breakers.closed for queue in blocked_queues)

    def _probe(self, now: float) -> tuple[CircuitBreaker | None, EntityQueue | None]:
        """A breaker whose probe is due, and the queue that it is sent for."""
        for breaker in [] if self._draining else self.breakers.open():
            if breaker.may_probe(now):
                queue = self._queues.to_probe(breaker, now)
                if queue is not None:
                    return breaker, queue
                breaker.put_off(now)  # all are held back: looking again at once would find the same
        return None, None

    def _plan_probe(self, breaker: CircuitBreaker, outcome: Outcome, now: float) -> None:
        """A probe is over, and did not close its breaker."""
        if outcome.reason == "http_429":
            breaker.put_off(now)
        elif outcome.asked:
            breaker.failed(now, untried=self._queues.untried(breaker, now))

    def _unpark(self, owner: OwnedPartition, now: float) -> None:
        self._queues.unblock(owner)
        for breaker in self.breakers.open():
            breaker.hurry(now)

    def _catch_up(self, owner: OwnedPartition, now: float, *, anyway: bool = False) -> None:
        if owner.catching_up and owner.caught_up(now, anyway=anyway):
            owner.catching_up = False
            self._unpark(owner, now)

    def _replace(self, queue: EntityQueue, slot: Slot, event: QueuedEvent) -> None:
        """The newer event takes the waiting one's place, in the queue and in time."""
        now, on_call = event.read_at, event.read_at < queue.on_call_until
        if slot.confirming and slot.consecutive_failures == 0:
            slot.due, slot.not_before = now + (self._call_window if on_call else self.config.window), 0.0
            self._queues.reschedule(queue)
        elif on_call and slot.consecutive_failures:
            slot.due = min(slot.due, max(now + CALL_RETRY, slot.not_before))
            self._queues.reschedule(queue)
        self._settling.supersede(queue, slot, event)

    @property
    def _call_window(self) -> float:
        return min(self.config.call_window, self.config.window)

    def _link(self, event: QueuedEvent, call_id: str | None, agent: str | None, now: float) -> None:
        """The event's record links its entity to a call, which it may be on still."""
        event.link = link(call_id, agent, event.offset, event.written_at)
        if event.link is not None and event.entity is not None:
            event.size += event.link.size(event.offset)
            self.calls.note(event.entity, event.owner.partition, event.written_at, now)

    def _look_for_call(self, queue: EntityQueue, now: float) -> None:
        call = self.calls.by_entity.get(queue.entity)
        if call is not None and now < call[0] and call[0] > queue.on_call_until:
            self._queues.on_call(queue, call[0], now + self._call_window)

    def _look_for_two_partitions(self, queue: EntityQueue, owner: OwnedPartition) -> None:
        """Its states are sent in the order in which they are due, and not as they were produced."""
        if queue.in_another_partition(owner):
            queue.in_two_partitions = True
            self.counts.in_two_partitions[owner.partition.topic] += 1

    def _empty(self, entity: Entity, owner: OwnedPartition, now: float) -> None:
        """What waits of the partition goes, but for a confirmation; what is in flight is not retried."""
        queue = self._queues.get(entity)
        if queue is None:
            return
        flying, slot = queue.in_flight, queue.slot_of(owner)
        if flying is not None and flying.event.owner is owner:
            flying.emptied = True
        if slot is not None and not slot.confirming:
            queue.waiting.remove(slot)
            self._settling.collapse(queue, slot.event)
            if flying is None:
                self._queues.go_on(queue, now)

    def _note(self, queue: EntityQueue, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """What an outcome means beyond its own event."""
        if not outcome.asked:
            return
        self.counts.requests[attempt.entity.kind, outcome.result] += 1
        if outcome.result in (Result.DELIVERED, Result.REJECTED):
            self._settling.answers[attempt.entity.kind] += 1
            queue.answers += 1
        if outcome.ambiguous:
            queue.mark_ambiguous(attempt.event.record_id)
        self.pause.observe(outcome, attempt.started_at, now)


def _is_own_fault(attempt: Attempt, outcome: Outcome, now: float) -> bool:
    """Whether a rejection belongs to its event, and says nothing of others: its visit is long over.

    An order may be changed long after the visit; of a cart this is true where the record is old.
    """
    if outcome.reason != UNKNOWN_VISIT:
        return False
    return attempt.entity.kind == "order" or now - attempt.event.written_at > VISIT_LIFETIME
