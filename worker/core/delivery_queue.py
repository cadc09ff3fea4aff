"""The delivery queue: events that were read and are not settled yet. The worker's core, and a pure state machine.

Theory of operation. `add` puts a record as an event into its entity's queue. A newer event of the entity takes the
place of a waiting one, which is *collapsed*. `take` hands out an attempt when an event is due and nothing forbids a
start: a request of the entity in flight, its collapse window, a retry's delay, its partition, an open circuit breaker,
the request rate, a 429's pause, the lease, the drain. `settle` takes the outcome of the attempt.

    add ──▶ waiting ──take──▶ in flight ──settle──▶ delivered / rejected ──▶ its offset may be committed
              ▲ │ newer event                 │
              │ └──▶ collapsed                │ retryable: due again later
              └───────────────────────────────┘

A partition's offset may be committed up to its smallest unsettled event. A revoked partition takes its events along;
the next owner reads them again. Rules: the event contract's section on delivery.

The queue has no threads, clocks, sockets or logging. Time is an argument (monotonic seconds), and effects are returned
for the caller to perform. Threads that share it need a lock: `worker.engine.shared_queue`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker.core.calls import CALL_RETRY, Calls, link
from worker.core.circuit_breaker import KINDS, CircuitBreaker, CircuitBreakers
from worker.core.counts import Counts
from worker.core.delivery_config import (
    CATCH_UP_AT_MOST,
    CONFIRM_AFTER,
    OVERHEAD,
    VISIT_LIFETIME,
    DeliveryConfig,
    SettleResult,
)
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
    #: No other member can own our partitions before this time (monotonic seconds). After it nothing starts.
    lease_until: float = float("inf")
    #: Counts suspended, revoked and truncated partitions. A commit from before the last one proves nothing.
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

    # Records that come in. For a partition that is not owned these do nothing and return False.

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
        """Puts an event into its entity's queue. It collapses a waiting older one of the same partition.

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
        """Counts events that a newer one of the same batch collapses: they need not be added.

        To be told before the newer one is added, which has a higher offset, so no commit can pass these.
        """
        if partition not in self.owned:
            return False
        self.counts.consumed[partition[0]] += events
        self.counts.collapsed[kind] += events
        return True

    def skip(self, partition: Partition, offset: int, skipped: Skipped, now: float) -> bool:
        """Counts a record with nothing to send. An emptied cart collapses the waiting state of its entity."""
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
        """Rejects a record that can't be sent: at once, or after its dead letter is acknowledged."""
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

    # Attempts.

    def take(self, now: float) -> Attempt | None:
        """The next attempt, if one is due and nothing forbids a start."""
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
        """The earliest time at which `take` may return an attempt without another call in between; None: never."""
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
        """Settles the event of an attempt, or schedules its next one. Call it exactly once for each attempt.

        An outcome for a former assignment settles nothing.
        """
        queue, breaker = self._queues[attempt.entity], attempt.breaker
        self._queues.finish(queue)
        self._note(queue, attempt, outcome, now)
        own_fault = _is_own_fault(attempt, outcome, now)
        spared = breaker is not None and self.breakers.spares(attempt.entity.kind, outcome, own_fault=own_fault)
        came = replace(outcome, result=Result.RETRYABLE, reason=SPARED) if spared else outcome
        settled = self._settling.conclude(queue, attempt, came, now)
        self._queues.schedule_or_remove(queue, now)
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
        """The dead letter is acknowledged. Its event is settled, unless its partition was revoked meanwhile."""
        self._settling.letter_written(letter)

    # Partitions.

    @property
    def owned(self) -> Mapping[Partition, OwnedPartition]:
        return self._owners.by_partition

    @property
    def assignment(self) -> int:
        """Changes when a partition is assigned or revoked."""
        return self._owners.version

    def without_position(self) -> list[Partition]:
        """Partitions whose position is not known yet."""
        return [owner.partition for owner in self._owners.active if owner.position is None]

    def without_end(self) -> bool:
        """Whether a partition catches up whose end offset is not known yet."""
        return any(owner.end is None for owner in self._owners.active)

    def assign(self, partitions: Iterable[Partition], now: float) -> list[Partition]:
        """Assigns partitions. Those that are owned already keep their events. Returns the new ones."""
        new = []
        for partition in partitions:
            if (owner := self._owners.get(partition)) is not None:
                owner.suspended = False
                if not (owner.dirty or owner.catching_up):
                    owner.hold_back(now + CATCH_UP_AT_MOST)
                    self._owners.touch(owner)
                self._unpark(owner, now)
            else:
                self._owners.assign(partition, now)
                new.append(partition)
        return new

    def suspend(self, partitions: Iterable[Partition]) -> None:
        """Starts no more requests of these partitions: they are about to be revoked."""
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
        """Revokes partitions and forgets their unsettled events: the next owner reads them again. Returns how many."""
        self.handovers += 1
        partitions = list(partitions)
        released = self._drop([one for partition in partitions for one in self._owners.revoke(partition)], reason, now)
        for partition in partitions:
            self.calls.end(partition)
        self._queues.end_calls(self.calls.by_entity)
        return released

    def ambiguous(self, partitions: Iterable[Partition], now: float) -> set[Partition]:
        """Partitions with requests that may still be applied after the partition is revoked."""
        ambiguous = self._queues.ambiguous(now)
        owners = self._owners.among(partitions)
        return {owner.partition for owner in owners if owner.partition in ambiguous or now < owner.ambiguous_until}

    def found_dirty(self, partitions: Iterable[Partition], now: float) -> None:
        """The committed offsets of these carry the dirty marker: the previous owner's requests may still be applied.

        Events that are delivered soon are confirmed, as after a time-out.
        """
        for owner in self._owners.among(partitions):
            owner.ambiguous_until, owner.dirty = now + CONFIRM_AFTER, True
            self._owners.touch(owner)
            self._catch_up(owner, now)

    def set_end(self, partition: Partition, end: int, now: float) -> None:
        """The partition's end offset when it was assigned. The partition catches up to there."""
        owner = self._owners.get(partition)
        if owner is not None and owner.end is None:
            owner.end = end
            self._catch_up(owner, now)

    def blocked(self, partitions: Iterable[Partition], now: float) -> None:
        """These partitions can't be read now. Their events no longer wait for the end offset."""
        for owner in self._owners.among(partitions):
            self._catch_up(owner, now, skip_backlog=True)

    def tick(self, now: float) -> None:
        """Changes that time alone brings. To be called about once a second, and after large batches.

        While intake is paused a backlog can't be read to its end, so waiting for that would be waiting for nothing.
        """
        paused = self.full() is not None or self.letters.failing
        for owner in self._owners.active:
            self._catch_up(owner, now, skip_backlog=paused)
        self._owners.forget_resting()
        self._queues.forget_late(now)

    def committable(self) -> dict[Partition, int]:
        """Offsets to commit with the dirty marker. All events below them are settled."""
        return self._owners.committable()

    def awaits_dirty_marker(self) -> bool:
        """Whether a partition waits for the commit of its dirty marker before it may send."""
        return self._owners.awaits_dirty_marker()

    def uncommitted(self) -> int:
        """How many offsets were read and are not committed."""
        return self._owners.uncommitted()

    def last_committable(self, partitions: Iterable[Partition], now: float) -> dict[Partition, int]:
        """The last offsets of these partitions: changed ones, and those whose dirty marker is to be cleared."""
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
        """The broker acknowledged these offsets, with the dirty marker for those in `ambiguous`; None: for all."""
        for owner in self._owners.among(offsets):
            owner.committed = offsets[owner.partition]
            owner.dirty = ambiguous is None or owner.partition in ambiguous
            self._owners.touch(owner)
            self._catch_up(owner, now, skip_backlog=self._draining)

    def doubt(self, partitions: Iterable[Partition]) -> None:
        """The commit of these may or may not have arrived: their dirty marker must be committed again."""
        for owner in self._owners.among(partitions):
            owner.dirty = False
            self._owners.touch(owner)

    # Bounds and drain.

    @property
    def in_flight(self) -> int:
        return len(self._queues.in_flight)

    @property
    def pending_bytes(self) -> int:
        """Approximate memory held by unsettled events, in bytes."""
        return self._settling.pending_bytes

    @property
    def pending(self) -> int:
        """Entities with unsettled events, plus rejected events that await their dead letter."""
        return len(self._queues) + len(self.letters)

    @property
    def unsettled(self) -> int:
        """Events that were read and are not settled."""
        return self._owners.unsettled()

    def full(self) -> str | None:
        """The bound that is reached, by its name in the metrics; None: there is room."""
        if self.pending == 0:
            return None
        if self.pending >= self.config.max_pending:
            return "max_pending"
        return "max_pending_bytes" if self.pending_bytes >= self.config.max_pending_bytes else None

    def oldest_read_at(self) -> float | None:
        """When the oldest unsettled event was read (monotonic seconds)."""
        return self._owners.oldest_read_at()

    def oldest_start(self) -> float | None:
        """When the oldest request in flight started (monotonic seconds)."""
        return min((queue.tried_at for queue in self._queues.in_flight if queue.tried_at is not None), default=None)

    def drain(self, now: float, last_start: float) -> None:
        """Ends all waiting for windows and backlogs. Nothing starts after `last_start`."""
        self._draining, self._last_start = True, last_start
        for owner in self.owned.values():
            self._catch_up(owner, now, skip_backlog=True)
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

    # Internal.

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
        """The log was truncated or replaced (topic recreated, unclean leader election).

        What we hold from there on is void. What is below is still to be sent, as nobody will read it again.
        """
        self.handovers += 1
        new, gone = self._owners.truncate(owner, end, now)
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
        """Whether an event may still start once its partition's dirty marker is committed."""
        if now > self._last_start or now >= self.lease_until:
            return False
        blocked_queues = (
            queue for owner in self.owned.values() if not owner.suspended for queue in owner.blocked_queues
        )
        return any(queue.entity.kind in self.breakers.closed for queue in blocked_queues)

    def _probe(self, now: float) -> tuple[CircuitBreaker | None, EntityQueue | None]:
        """A breaker whose probe is due, and the entity's queue to probe with."""
        for breaker in [] if self._draining else self.breakers.open():
            if breaker.may_probe(now):
                queue = self._queues.to_probe(breaker, now)
                if queue is not None:
                    return breaker, queue
                breaker.put_off(now)  # all are held back: looking again at once would find the same
        return None, None

    def _plan_probe(self, breaker: CircuitBreaker, outcome: Outcome, now: float) -> None:
        """Schedules the next probe after one that did not close the breaker."""
        if outcome.reason == "http_429":
            breaker.put_off(now)
        elif outcome.asked:
            breaker.failed(now, untried=self._queues.untried(breaker, now))

    def _unpark(self, owner: OwnedPartition, now: float) -> None:
        self._queues.unblock(owner)
        for breaker in self.breakers.open():
            breaker.hurry(now)

    def _catch_up(self, owner: OwnedPartition, now: float, *, skip_backlog: bool = False) -> None:
        if owner.catching_up and owner.caught_up(now, skip_backlog=skip_backlog):
            owner.catching_up = False
            self._unpark(owner, now)

    def _replace(self, queue: EntityQueue, slot: Slot, event: QueuedEvent) -> None:
        """The newer event takes the slot of the waiting one and keeps its due time."""
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
        """The record links its entity to a call. The call may still be going on."""
        event.link = link(call_id, agent, event.offset, event.written_at)
        if event.link is not None and event.entity is not None:
            event.size += event.link.size(event.offset)
            self.calls.note(event.entity, event.owner.partition, event.written_at, now)

    def _look_for_call(self, queue: EntityQueue, now: float) -> None:
        call = self.calls.by_entity.get(queue.entity)
        if call is not None and now < call[0] and call[0] > queue.on_call_until:
            self._queues.on_call(queue, call[0], now + self._call_window)

    def _look_for_two_partitions(self, queue: EntityQueue, owner: OwnedPartition) -> None:
        """States of an entity in two partitions are sent in due order, which may not be the order of production."""
        if queue.in_another_partition(owner):
            queue.in_two_partitions = True
            self.counts.in_two_partitions[owner.partition.topic] += 1

    def _empty(self, entity: Entity, owner: OwnedPartition, now: float) -> None:
        """Collapses the partition's waiting event, except a confirmation. A request in flight is not retried."""
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
                self._queues.schedule_or_remove(queue, now)

    def _note(self, queue: EntityQueue, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """Records what an outcome says about more than its own event."""
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
    """Whether a rejection is caused by its own event: the visit is over long since.

    An order may be changed long after the visit; of a cart this is true where the record is old.
    """
    if outcome.reason != UNKNOWN_VISIT:
        return False
    return attempt.entity.kind == "order" or now - attempt.event.written_at > VISIT_LIFETIME
