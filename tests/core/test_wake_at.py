"""A waiter never spins and never oversleeps: whatever state the delivery queue is in, `wake_at` fits what `take` says.

Two partitions share all entities here, so that queues hold events of both.
"""

from copy import deepcopy

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.support import (
    KEY_REFUSED,
    NOT_CONNECTED,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    TIMED_OUT,
    TOO_MANY,
    A,
    B,
    C,
    no_jitter,
    retry_after,
)
from worker.core.delivery_config import DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome
from worker.core.state import Attempt, Partition

OUTCOMES = [
    DELIVERED,
    DELIVERED,
    REJECTED,
    REJECTED,
    SERVER_ERROR,
    SERVER_ERROR,
    TIMED_OUT,
    NOT_CONNECTED,
    TOO_MANY,
    KEY_REFUSED,
    retry_after(7.0),
    retry_after(86_400.0),
    retry_after(20.0, "http_429"),
]
PARTITIONS = st.sampled_from([P0, P1])
D = Entity("order", "d")
ENTITIES = st.sampled_from([A, B, C, D])
INFINITY = float("inf")


class WaiterMachine(RuleBasedStateMachine):
    @initialize(
        dead_letters=st.booleans(), max_attempts=st.sampled_from([1, 50]), start=st.sampled_from([0.0, 1e3, 1e7])
    )
    def begin(self, max_attempts: int, start: float, *, dead_letters: bool) -> None:
        self.now = start
        config = DeliveryConfig(no_jitter, max_pending=5, max_attempts=max_attempts, dead_letters=dead_letters)
        self.deliveries = DeliveryQueue(config)
        self.in_flight: list[Attempt] = []
        self.positions = {P0: 0, P1: 0}
        self.sent: dict[tuple[int, Entity], int] = {}
        self.draining = False
        self.assign(P0, 0)
        self.commit()

    # The intake.

    @rule(entity=ENTITIES, partition=PARTITIONS)
    def add(self, entity: Entity, partition: Partition) -> None:
        if partition in self.deliveries.owned and not self.draining:
            offset = self.positions[partition]
            self.positions[partition] += 1
            assert self.deliveries.add(partition, offset, entity, None, size=10, occurred_at=0.0, now=self.now)

    @rule()
    def add_some_to_each(self) -> None:
        for entity in (A, B, C, D):
            for partition in (P0, P1):
                self.add(entity, partition)

    @rule(partition=PARTITIONS)
    def refuse(self, partition: Partition) -> None:
        if partition in self.deliveries.owned and not self.draining:
            offset = self.positions[partition]
            self.positions[partition] += 1
            assert self.deliveries.refuse(
                partition,
                offset,
                None,
                size=1,
                kind="cart",
                entity_id="a",
                reason="invalid_event",
                message="",
                now=self.now,
            )

    @rule(partition=PARTITIONS, end=st.sampled_from([None, 0, 2, 1000]))
    def assign(self, partition: Partition, end: int | None) -> None:
        self.deliveries.assign([partition], self.now)
        self.deliveries.advance(partition, self.positions[partition], self.now)
        if end is not None:
            self.deliveries.set_end(partition, self.positions[partition] + end, self.now)

    @rule()
    def commit(self) -> None:
        self.deliveries.committed(self.deliveries.committable(), self.now)

    @rule(partition=PARTITIONS, back=st.integers(0, 3))
    def release(self, partition: Partition, back: int) -> None:
        """The next owner starts where the last commit was."""
        self.deliveries.release([partition], "revoked", self.now)
        self.positions[partition] = max(0, self.positions[partition] - back)

    @rule(partition=PARTITIONS, by=st.sampled_from([1, 2, 1000]), noticed=st.booleans())
    def log_goes_back(self, partition: Partition, by: int, *, noticed: bool) -> None:
        self.positions[partition] = max(0, self.positions[partition] - by)
        if noticed:
            self.deliveries.advance(partition, self.positions[partition], self.now)

    @rule(partition=PARTITIONS)
    def suspend(self, partition: Partition) -> None:
        self.deliveries.suspend([partition])

    @rule(per_second=st.sampled_from([None, None, 0.0, 0.3, 1.0, 7.0, 200.0]), late=st.sampled_from([0.0, 0.01]))
    def set_rate(self, per_second: float | None, late: float) -> None:
        self.deliveries.rate.set(per_second, max(0.0, self.now - late))

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.1, 0.5, 1.0, 3.0, 10.0, 61.0, 301.0]), tick=st.booleans())
    def wait(self, seconds: float, *, tick: bool) -> None:
        self.now += seconds
        if tick:
            self.deliveries.tick(self.now)

    @precondition(lambda self: not self.draining)
    @rule(budget=st.sampled_from([0.0, 1.0, 20.0]), really=st.integers(0, 3))
    def drain(self, budget: float, really: int) -> None:
        if really == 0:
            self.draining = True
            self.deliveries.drain(self.now, self.now + budget)

    # The senders.

    @rule()
    def take(self) -> None:
        self._take(4)

    @rule()
    def take_one(self) -> None:
        self._take(1)

    @rule()
    def sleep_until_woken(self) -> None:
        """What a waiter does: it sleeps until the time it was given, and then there is something, or a later time."""
        self._take(8)
        for _ in range(20):
            wake_at = self.deliveries.wake_at(self.now)
            if wake_at is None or wake_at == INFINITY:
                return
            assert wake_at > self.now, "it spins"
            self.now = wake_at
            if self._take(8):
                return

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 7), outcome=st.sampled_from(OUTCOMES))
    def settle(self, which: int, outcome: Outcome) -> None:
        self.deliveries.settle(self.in_flight.pop(which % len(self.in_flight)), outcome, self.now)

    @rule(outcome=st.sampled_from([SERVER_ERROR, KEY_REFUSED, TIMED_OUT, retry_after(86_400.0)]))
    def settle_all(self, outcome: Outcome) -> None:
        while self.in_flight:
            self.settle(0, outcome)

    @rule(write=st.booleans())
    def letters(self, *, write: bool) -> None:
        taken = self.deliveries.letters.take(self.now, 2)
        if not taken:
            wake_at = self.deliveries.letters.wake_at(self.now)
            assert wake_at is None or wake_at > self.now
        elif write:
            for letter in taken:
                self.deliveries.letter_written(letter)
        else:
            self.deliveries.letters.failed(taken, self.now)

    def _take(self, most: int) -> int:
        taken = 0
        while taken < most and (attempt := self.deliveries.take(self.now)) is not None:
            self._check(attempt)
            self.in_flight.append(attempt)
            taken += 1
        return taken

    def _check(self, attempt: Attempt) -> None:
        owner = attempt.event.owner
        assert attempt.entity not in {other.entity for other in self.in_flight}, "two in flight for an entity"
        assert owner.alive, "sent what it does not own"
        assert not owner.held, "sent what is held back"
        assert self.now >= self.deliveries.pause.until, "sent during a pause"
        assert attempt.event.offset >= self.sent.get((owner.epoch, attempt.entity), -1), "an older state after a newer"
        self.sent[owner.epoch, attempt.entity] = attempt.event.offset
        if not attempt.probe:
            assert self.now >= attempt.slot.due, "sent before its time"
        assert self.now >= attempt.slot.not_before, "sent before the API's own time"

    # What must hold after every step.

    @invariant()
    def a_waiter_never_spins(self) -> None:
        """On a copy, so that what is due may stay as it is."""
        deliveries = deepcopy(self.deliveries)
        while deliveries.take(self.now) is not None:
            pass
        assert deliveries.take(self.now) is None
        wake_at = deliveries.wake_at(self.now)
        assert wake_at is None or wake_at > self.now, "it spins"

    @invariant()
    def a_waiter_never_oversleeps(self) -> None:
        """No queue is forgotten: what waits is scheduled, or parked with the partition that holds it back."""
        for queue in self.deliveries._queues._queues.values():
            assert queue.waiting or queue.in_flight, "an empty queue"
            if queue.in_flight is not None:
                assert queue.token == 0
            elif queue.token == 0:
                owner = queue.waiting[0].event.owner
                assert owner.held, "forgotten by the schedule"
                assert queue in owner.blocked_queues, "forgotten by its partition"

    @invariant()
    def an_open_breaker_is_probed_again(self) -> None:
        breakers, queues = self.deliveries.breakers, self.deliveries._queues
        for breaker in breakers.open():
            if queues.any_of(breaker.covers) and not self.draining:
                assert breaker.probing or self.deliveries.wake_at(self.now) is not None
        for breaker in (breakers.key, *breakers.of.values()):
            probes = sum(attempt.breaker is breaker for attempt in self.in_flight)
            assert probes == breaker.probing

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        deliveries = self.deliveries
        assert deliveries.counts.consumed.total() == deliveries.counts.settled() + deliveries.unsettled
        weights = [event.size for owner in deliveries.owned.values() for event in owner.unsettled.values()]
        assert deliveries.pending_bytes == sum(weights)
        assert deliveries.in_flight == len(self.in_flight)
        assert deliveries.pending >= len(
            {event.entity for o in deliveries.owned.values() for event in o.unsettled.values()} - {None}
        )

    @invariant()
    def what_is_committable_is_the_smallest_unsettled_offset(self) -> None:
        for owner in self.deliveries.owned.values():
            assert owner.committable() == min(owner.unsettled, default=owner.position)
            assert list(owner.unsettled) == sorted(owner.unsettled)

    @invariant()
    def drained_means_that_nothing_more_starts(self) -> None:
        if self.deliveries.drained(self.now):
            assert not self.in_flight
            deliveries = deepcopy(self.deliveries)
            for seconds in (0.0, 0.5, 1.0, 20.0, 400.0):
                assert deliveries.take(self.now + seconds) is None

    def teardown(self) -> None:
        """Everything heals, and nothing is left over."""
        if self.draining:
            return
        for partition in (P0, P1):
            self.assign(partition, 0)
        self.now += 61.0
        self.deliveries.tick(self.now)
        self.deliveries.rate.set(None, self.now)
        for _ in range(300):
            self._take(8)
            while self.in_flight:
                self.settle(0, DELIVERED)
            for letter in self.deliveries.letters.take(self.now, 100):
                self.deliveries.letter_written(letter)
            wakes = [self.deliveries.wake_at(self.now), self.deliveries.letters.wake_at(self.now)]
            self.now = min((wake for wake in wakes if wake is not None), default=self.now)
        assert self.deliveries.pending == self.deliveries.unsettled == self.deliveries.pending_bytes == 0
        assert self.deliveries.wake_at(self.now) is None


TestWaiter = WaiterMachine.TestCase
TestWaiter.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
