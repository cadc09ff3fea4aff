"""The outbox as a state machine: whatever order things happen in, its invariants hold, and at rest nothing is stale."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from worker.core.event import Entity
from worker.core.lane import Delivery
from worker.core.letters import Letter
from worker.core.outbox import Outbox
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.ownership import Partition
from worker.core.rules import Rules

ENTITIES = [Entity("cart", "0"), Entity("order", "1"), Entity("cart", "2"), Entity("cart", "3"), Entity("cart", "4")]
PARTITIONS = [Partition("carts", 0), Partition("carts", 1)]
CONCURRENCY = 3
#: How long after its time-out a request may still land at the API; the confirmation comes after 10 s.
LATEST_LANDING = 9.0

FAILURES = {
    "5xx": Outcome(Result.RETRYABLE, "http_5xx", "HTTP 500"),
    "429": Outcome(Result.RETRYABLE, "http_429", "HTTP 429"),
    "429 with Retry-After": Outcome(Result.RETRYABLE, "http_429", "HTTP 429", retry_after=7.0),
    "503 with Retry-After": Outcome(Result.RETRYABLE, "http_5xx", "HTTP 503", retry_after=86_400.0),
    "refused connection": Outcome(Result.RETRYABLE, "connection", "refused"),
    "key refused": Outcome(Result.KEY_REFUSED, "invalid_api_key", "Invalid API key"),
}
TIMED_OUT = Outcome(Result.RETRYABLE, "timeout", "no answer", ambiguous=True)


@dataclass
class Record:
    entity: Entity | None
    outcome: str  # "good", "rejected" (by the API), "skipped", "invalid"
    answered: bool = False


@dataclass
class Log:
    records: list[Record] = field(default_factory=list)
    position: int = 0
    committed: int = 0
    read: int = 0  # the furthest ever
    owned: bool = False


class OutboxMachine(RuleBasedStateMachine):
    dead_letters = False

    @initialize(max_attempts=st.sampled_from([2, 50]), catching_up=st.booleans())
    def start(self, max_attempts: int, catching_up: bool) -> None:
        self.now = 1000.0
        self.catching_up = catching_up
        rules = Rules(
            lambda tries: min(2.0**tries, 30.0),
            max_pending=4,
            max_attempts=max_attempts,
            dead_letters=self.dead_letters,
        )
        self.outbox = Outbox(rules)
        self.logs = {partition: Log() for partition in PARTITIONS}
        self.in_flight: list[tuple[Delivery, int]] = []
        self.letters: list[Letter] = []
        self.landings: list[tuple[float, Entity, int]] = []
        self.api: dict[Entity, int] = {}
        self.sent: dict[tuple[int, Entity], int] = {}

    # The outside world.

    @rule(
        entity=st.sampled_from(ENTITIES),
        outcome=st.sampled_from(["good", "good", "good", "good", "rejected", "skipped", "invalid"]),
    )
    def produce(self, entity: Entity, outcome: str) -> None:
        log = self.logs[self._home(entity)]
        log.records.append(Record(entity, outcome))

    @rule(entity=st.sampled_from(ENTITIES[:2]))
    def produce_and_read(self, entity: Entity) -> None:
        self.produce(entity, "good")
        self.read()

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 10.0, 61.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        for landing in sorted(landing for landing in self.landings if landing[0] <= until):
            self.landings.remove(landing)
            self.api[landing[1]] = landing[2]
        self.now = until
        self.outbox.tick(self.now)

    # The intake.

    @rule()
    def read(self) -> None:
        for partition, log in self.logs.items():
            if not log.owned or self.outbox.full():
                continue
            for offset in range(log.position, len(log.records)):
                self._read(partition, offset, log.records[offset])
            log.position = log.read = len(log.records)
            self.outbox.advance(partition, log.position, self.now)

    def _read(self, partition: Partition, offset: int, record: Record) -> None:
        box = self.outbox
        if record.outcome == "skipped":
            assert box.skip(partition, offset, "empty_products", self.now)
            record.answered = True
        elif record.outcome == "invalid":
            assert box.refuse(
                partition,
                offset,
                None,
                size=10,
                kind="unknown",
                entity_id=None,
                reason="invalid_event",
                message="",
                now=self.now,
            )
            record.answered = record.answered or not self.dead_letters
        else:
            assert record.entity is not None
            assert box.add(partition, offset, record.entity, None, size=10, occurred_at=0.0, now=self.now)

    @rule(partition=st.sampled_from(PARTITIONS))
    def assign(self, partition: Partition) -> None:
        log = self.logs[partition]
        new = self.outbox.assign([partition], self.now)
        assert new == ([] if log.owned else [partition])
        if not log.owned:
            log.owned = True
            log.position = log.committed
            self.outbox.advance(partition, log.position, self.now)
            self.outbox.set_end(partition, len(log.records) if self.catching_up else 0, self.now)

    @rule(partition=st.sampled_from(PARTITIONS), reason=st.sampled_from(["revoked", "lost"]))
    def release(self, partition: Partition, reason: str) -> None:
        if self.logs[partition].owned and reason == "revoked":
            self.outbox.suspend([partition])
            self.commit()
        self.outbox.release([partition], reason, self.now)
        self.logs[partition].owned = False

    @rule(partition=st.sampled_from(PARTITIONS))
    def suspend(self, partition: Partition) -> None:
        self.outbox.suspend([partition])

    @rule()
    def commit(self) -> None:
        offsets = self.outbox.committable()
        for partition, offset in offsets.items():
            assert self.logs[partition].owned
            self.logs[partition].committed = offset
        self.outbox.committed(offsets)

    # The senders.

    @rule()
    def take(self) -> None:
        while len(self.in_flight) < CONCURRENCY and (delivery := self.outbox.take(self.now)) is not None:
            owner, offset = delivery.event.owner, delivery.event.offset
            assert delivery.entity not in {other.entity for other, _ in self.in_flight}, "two in flight for an entity"
            assert owner.alive, "sent what it does not own"
            assert not owner.held, "sent what is held back"
            assert offset >= self.sent.get((owner.epoch, delivery.entity), -1), "an older state after a newer one"
            assert delivery.probe == (self.outbox.gate.shut is not None), "a shut gate lets only probes through"
            self.sent[owner.epoch, delivery.entity] = offset
            self.in_flight.append((delivery, delivery.slot.attempts))
            assert sum(other.probe for other, _ in self.in_flight) <= 1 or self.outbox.gate.shut is None

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, CONCURRENCY - 1), failure=st.sampled_from([None, None, None, *FAILURES]))
    def answer(self, which: int, failure: str | None) -> None:
        self._answer(which % len(self.in_flight), None if failure is None else FAILURES[failure])

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, CONCURRENCY - 1), lands_after=st.none() | st.sampled_from([0.05, 1.5, LATEST_LANDING]))
    def time_out(self, which: int, lands_after: float | None) -> None:
        delivery, _ = self.in_flight[which % len(self.in_flight)]
        if lands_after is not None and self._record(delivery).outcome == "good":
            self.landings.append((self.now + lands_after, delivery.entity, delivery.event.offset))
        self._answer(which % len(self.in_flight), TIMED_OUT)

    @precondition(lambda self: self.in_flight)
    @rule(newer=st.booleans(), lands_after=st.sampled_from([1.5, LATEST_LANDING]))
    def time_out_and_move_on(self, newer: bool, lands_after: float) -> None:
        entity = self.in_flight[0][0].entity
        if self._record(self.in_flight[0][0]).outcome == "good":
            self.landings.append((self.now + lands_after, entity, self.in_flight[0][0].event.offset))
        self._answer(0, TIMED_OUT)
        for _ in range(2):
            if newer:
                self.produce_and_read(entity)
            self.wait(1.0)
            self.take()
            while self.in_flight:
                self._answer(0, None)
            newer = True

    def _answer(self, which: int, outcome: Outcome | None) -> None:
        delivery, attempts = self.in_flight.pop(which)
        record = self._record(delivery)
        if outcome is None:
            outcome = DELIVERED
            if record.outcome == "rejected":
                outcome = Outcome(Result.REJECTED, "unknown_visit_id", "Unknown visit_id")
            else:
                self.api[delivery.entity] = delivery.event.offset
        before = self.outbox.counts.settled()
        settled = self.outbox.settle(delivery, outcome, self.now)
        answered = outcome.result in (Result.DELIVERED, Result.REJECTED)
        owned = delivery.event.owner.alive
        if answered and owned and not (self.dead_letters and outcome.result is Result.REJECTED):
            record.answered = True
        if delivery.probe and not answered:
            assert delivery.slot.attempts in (attempts, 0), "a probe counted as an attempt"
        if settled.stale:
            assert before == self.outbox.counts.settled(), "settled what it does not own"
        if answered:
            assert self.outbox.gate.shut is None, "an answer must open the gate"

    def _record(self, delivery: Delivery) -> Record:
        return self.logs[delivery.event.owner.partition].records[delivery.event.offset]

    # Invariants, after every step.

    @invariant()
    def commits_never_pass_what_is_unsettled(self) -> None:
        for log in self.logs.values():
            for offset, record in enumerate(log.records[: log.committed]):
                successors = log.records[offset + 1 : log.read]
                replaced = any(
                    other.entity == record.entity and other.outcome in ("good", "rejected") for other in successors
                )
                assert record.answered or (replaced and record.outcome != "invalid"), f"offset {offset} was lost"

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        assert self.outbox.counts.consumed.total() == self.outbox.counts.settled() + self.outbox.unsettled

    @invariant()
    def what_is_in_flight_is_what_was_taken(self) -> None:
        assert self.outbox.in_flight == len(self.in_flight)

    def teardown(self) -> None:
        self.rest()

    @rule()
    def rest(self) -> None:
        """Everything heals: the API answers, partitions are owned, and after a while nothing is left over."""
        for partition in PARTITIONS:
            self.assign(partition)
        for _ in range(200):
            self.read()
            self.take()
            while self.in_flight:
                self._answer(0, None)
            self._write_letters()
            self.commit()
            if (
                not self.outbox.unsettled
                and not self.landings
                and all(log.position == len(log.records) for log in self.logs.values())
            ):
                break
            self.wait(10.0)
        assert self.outbox.pending == self.outbox.unsettled == self.outbox.pending_bytes == self.outbox.in_flight == 0
        assert {p: log.committed for p, log in self.logs.items()} == {p: len(r.records) for p, r in self.logs.items()}
        for entity in ENTITIES:
            self._assert_newest(entity)

    def _assert_newest(self, entity: Entity) -> None:
        records = self.logs[self._home(entity)].records
        good = [o for o, r in enumerate(records) if r.entity == entity and r.outcome == "good"]
        rejected = [o for o, r in enumerate(records) if r.entity == entity and r.outcome == "rejected"]
        newest = max(good, default=None)
        if newest is None or (rejected and rejected[-1] > newest):
            return  # collapse is final: a rejected successor may have taken the good one with it
        assert self.api.get(entity) == newest or self._exhausted(), f"{entity} is stale at rest"

    def _exhausted(self) -> bool:
        return any(reason == "attempts_exhausted" for _, reason in self.outbox.counts.rejected)

    def _write_letters(self) -> None:
        assert not len(self.outbox.letters)

    def _home(self, entity: Entity) -> Partition:
        return PARTITIONS[int(entity.id) % len(PARTITIONS)]


class OutboxMachineWithDeadLetters(OutboxMachine):
    dead_letters = True

    @rule(most=st.integers(1, 3))
    def take_letters(self, most: int) -> None:
        self.letters += self.outbox.letters.take(self.now, most)

    @precondition(lambda self: self.letters)
    @rule()
    def letter_written(self) -> None:
        letter = self.letters.pop(0)
        self.outbox.letter_written(letter)
        if letter.event.owner.alive:
            self.logs[letter.event.owner.partition].records[letter.event.offset].answered = True

    @precondition(lambda self: self.letters)
    @rule()
    def letters_failed(self) -> None:
        self.outbox.letters.failed(self.letters, self.now)
        self.letters = []

    def _write_letters(self) -> None:
        self.take_letters(100)
        while self.letters:
            self.letter_written()


_SETTINGS = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = _SETTINGS
TestOutboxWithDeadLetters = OutboxMachineWithDeadLetters.TestCase
TestOutboxWithDeadLetters.settings = _SETTINGS
