"""The delivery queue as state machines: its invariants hold in any order of events, and at rest nothing is stale.

The numbers are those of the invariants in docs/delivery.md. The machine plays both sides: the intake, the senders and
the dead-letter writer inside; producers, brokers, other workers, clocks and the API outside.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.world import (
    BACK_AFTER,
    CALLS,
    ENTITIES,
    FAILURES,
    LATEST_LANDING,
    NATURES,
    PARTITIONS,
    POISON,
    POISONABLE,
    REJECTED,
    SESSION_TIMEOUT,
    SUSPENDED,
    TIMED_OUT,
    WANDERER,
    Api,
    Log,
    Nature,
    Record,
    busy_until,
    home,
)
from worker.core.batch import collapse
from worker.core.calls import CALL_LASTS, IN_A_ROW, Link
from worker.core.circuit_breaker import TripReason
from worker.core.delivery_config import OVERHEAD, DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity, Event, Invalid, Kind, Skipped
from worker.core.letters import Letter
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.state import Attempt, OwnedPartition, Partition, QueuedEvent, Slot

CONCURRENCY = 3
#: How long a search may take on the slowest machine: it computes all the time, and minutes where seconds are usual.
SEARCH_SECONDS = 1200
SIZE = 10
#: What a link costs beside its record, at most (bytes).
LINK = 400
START = 1000.0
ANSWERED = (Result.DELIVERED, Result.REJECTED)


@dataclass
class Tally:
    """What all machines of this process did. A step is one rule, with the invariants after it."""

    examples: int = 0
    steps: int = 0


TALLY = Tally()
TROUBLES = ("crash", "stop", "elsewhere", "back", "cut", "suspend", "moves", "clock", "lease")


def check_active(box: DeliveryQueue) -> None:
    """What the delivery queue knows from the partitions that have changed is what a look at all of them finds."""
    owners = box.owned.values()
    due = {
        owner.partition: offset
        for owner in owners
        if (offset := owner.committable()) is not None and (offset != owner.committed or not owner.dirty)
    }
    assert box.committable() == due, "5: what is to be committed"
    assert box.awaits_dirty_marker() == any(not owner.dirty and owner.position is not None for owner in owners), (
        "2: markers"
    )
    assert box.unsettled == sum(len(owner.unsettled) for owner in owners), "6: the sum"
    assert box.uncommitted() == sum(owner.uncommitted() for owner in owners), "5: what is read again"
    read_at = [event.read_at for owner in owners for event in owner.unsettled.values()]
    assert box.oldest_read_at() == min(read_at, default=None), "the oldest"
    assert set(box.without_position()) == {owner.partition for owner in owners if owner.position is None}
    overlooked = {owner.partition for owner in owners if not owner.at_rest} - {o.partition for o in box._owners.active}
    assert not overlooked, f"not at rest, and nobody looks: {overlooked}"


class OutboxMachine(RuleBasedStateMachine):
    dead_letters: ClassVar[bool] = False
    troubles: ClassVar[Sequence[str]] = TROUBLES

    @initialize(
        max_attempts=st.sampled_from([2, 50]),
        catching_up=st.booleans(),
        bounds=st.tuples(st.sampled_from([4, 4, 50]), st.sampled_from([3 * (SIZE + OVERHEAD), 10**6])),
        rate=st.sampled_from([None, None, 2.0]),
        batches=st.booleans(),
        notes_at_once=st.sampled_from([True, True, False]),
        rejection_limit=st.sampled_from([0, 3, 20]),
    )
    def start(
        self,
        max_attempts: int,
        catching_up: bool,
        bounds: tuple[int, int],
        rate: float | None,
        *,
        batches: bool,
        notes_at_once: bool,
        rejection_limit: int,
    ) -> None:
        TALLY.examples += 1
        self.rules_of_box = DeliveryConfig(
            lambda consecutive_failures: min(2.0**consecutive_failures, 30.0),
            max_pending=bounds[0],
            max_pending_bytes=bounds[1],
            max_attempts=max_attempts,
            dead_letters=self.dead_letters,
            rejection_limit=rejection_limit,
        )
        self.catching_up, self.rate, self.batches = catching_up, rate, batches
        self.notes_at_once = notes_at_once
        self.now, self.skew = START, 0.0
        self.logs = {partition: Log() for partition in PARTITIONS}
        self.api = Api()
        self.begin()
        for partition in PARTITIONS:
            self.assign(partition)
        self.commit()

    def begin(self) -> None:
        """A process starts: it owns nothing and knows nothing."""
        self.deliveries = DeliveryQueue(self.rules_of_box)
        self.deliveries.rate.set(self.rate, self.now)
        self.in_flight: list[Attempt] = []
        self.letters: list[Letter] = []
        self.sent: dict[tuple[int, Entity], int] = {}
        self.answers: list[Entity] = []
        self.failed_at: dict[Slot, int] = {}
        self.failing_since: dict[QueuedEvent, float] = {}
        self.on_call: dict[tuple[Partition, Entity], float] = {}
        self.row = 0
        self.last_start = float("inf")
        for log in self.logs.values():
            log.owned = False

    # The outside world.

    @rule(
        which=st.integers(0, 8),
        partition=st.sampled_from(PARTITIONS),
        lands_after=st.sampled_from([None, 0.05, 9.0, SESSION_TIMEOUT]),
        number=st.integers(0, 3),
    )
    def trouble(self, which: int, partition: Partition, lands_after: float | None, number: int) -> None:
        """One rule for all that is rare: as many rules would leave little room for work between them."""
        kind = self.troubles[which % len(self.troubles)]
        if kind == "crash":
            in_time = lands_after != SESSION_TIMEOUT
            self.crash(lands_after, BACK_AFTER[number] if in_time else SESSION_TIMEOUT)
        elif kind == "stop":
            self.drain_and_start_again(BACK_AFTER[number])
        elif kind == "elsewhere":
            self.another_worker_reads_it(partition)
        elif kind == "back":
            self.the_position_goes_back(partition, number)
        elif kind == "cut":
            self.the_log_loses_its_end(partition, 1 + number, noticed=lands_after is None)
        elif kind == "emptied":
            self.emptied_in_flight()
        elif kind == "suspend":
            self.suspend(partition)
        elif kind == "lease":
            self.deliveries.lease_until = self.now + number if lands_after else float("inf")
        elif kind == "moves":
            self.away_and_back(partition, "revoked" if number % 2 else "lost")
        else:
            self.skew = [-86_400.0, -11.0, 11.0, 86_400.0][number]

    @rule(
        entity=st.sampled_from(ENTITIES),
        nature=st.sampled_from(NATURES),
        other=st.booleans(),
        call_id=st.sampled_from(CALLS),
    )
    def produce(self, entity: Entity, nature: Nature, other: bool, call_id: str | None = None) -> None:
        if nature == "poison" and entity not in POISONABLE:
            nature = "good"
        partition = PARTITIONS[int(other)] if entity == WANDERER else home(entity)
        linked = nature not in ("good", "rejected", "poison")
        self.logs[partition].records.append(Record(entity, nature, False, call_id, linked, self.now))

    @rule(entity=st.sampled_from(ENTITIES), call_id=st.sampled_from(CALLS))
    def produce_and_read(self, entity: Entity, call_id: str | None = None) -> None:
        self.produce(entity, "good", other=False, call_id=call_id)
        self.read()

    @rule(
        natures=st.lists(st.sampled_from(NATURES), min_size=len(ENTITIES), max_size=len(ENTITIES)),
        calls=st.integers(0, len(ENTITIES)),
    )
    def one_of_each(self, natures: list[Nature], calls: int = 0) -> None:
        """The first `calls` of them are on a call: all are due at the same time then."""
        for entity, nature in zip(ENTITIES, natures, strict=True):
            self.produce(entity, nature, other=False, call_id="7" if calls > ENTITIES.index(entity) else None)
        self.read()

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 10.0, 61.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.api.land(self.now)
        self.deliveries.tick(self.now)

    def crash(self, lands_after: float | None, back_after: float) -> None:
        """Its requests may still land; its partitions are somebody's after the session timeout, or sooner if it is a
        static member. (7: so are letters.)
        """
        for attempt in self.in_flight:
            self._may_land(attempt, lands_after)
        good = [attempt.entity for attempt in self.in_flight if self._record(attempt).nature == "good"]
        lost = [entity for entity in good if entity != WANDERER]
        self.begin()
        self.wait(back_after)
        if lost and back_after < LATEST_LANDING:
            self._overtake(lost[0])

    def _overtake(self, entity: Entity) -> None:
        """A process that is back at once delivers a newer state before the old one's request can have landed."""
        for partition in PARTITIONS:
            self.assign(partition)
        self.commit()
        self.produce_and_read(entity)
        log, newest = self.logs[home(entity)], len(self.logs[home(entity)].records) - 1
        self.send(1.0)
        while self.in_flight:
            self._answer(0, None)
        self.wait(LATEST_LANDING)
        left = log.position <= newest or newest in self.deliveries.owned[home(entity)].unsettled
        assert left or self.api.holds[entity] == (home(entity), newest), "2: stale, with nothing left to be confirmed"

    def another_worker_reads_it(self, partition: Partition) -> None:
        log = self.logs[partition]
        busy = any(attempt.event.owner.partition == partition for attempt in self.in_flight)
        if log.owned or busy or any(record.nature in ("poison", "rejected") for record in log.records):
            return
        self.wait(SESSION_TIMEOUT)
        for offset, record in enumerate(log.records[log.committed :], log.committed):
            record.answered = record.linked = True
            if record.nature == "good":
                self.api.holds[record.entity] = partition, offset
        log.committed = log.read = len(log.records)
        log.dirty = False

    # The intake.

    @rule()
    def read(self) -> None:
        for partition, log in self.logs.items():
            if log.owned and not self.deliveries.full():
                assert self._pending_entities() < self.rules_of_box.max_pending, "4: reads on at its bound"
                assert (
                    self.deliveries.pending_bytes < self.rules_of_box.max_pending_bytes or not self.deliveries.pending
                )
                self._poll(partition, log)
        if self.notes_at_once and self.deliveries.awaits_dirty_marker():
            self.commit()

    def _poll(self, partition: Partition, log: Log) -> None:
        before, bytes_before = self._pending_entities(), self.deliveries.pending_bytes
        poll = len(log.records) - log.position
        kept, overtaken, *_ = collapse([_decoded(record) for record in log.records[log.position :]])
        for kind, events in overtaken.items() if self.batches else ():
            assert self.deliveries.overtaken(partition, kind, events)
        for at in kept if self.batches else range(poll):
            self._read(partition, log.position + at, log.records[log.position + at])
        log.position = len(log.records)
        log.read = max(log.read, log.position)
        self.deliveries.advance(partition, log.position, self.now)
        assert self._pending_entities() <= max(before, self.rules_of_box.max_pending - 1) + poll, "4: pending"
        most = max(bytes_before, self.rules_of_box.max_pending_bytes) + poll * (SIZE + OVERHEAD + LINK)
        assert self.deliveries.pending_bytes <= most, "4: bytes"

    def _read(self, partition: Partition, offset: int, record: Record) -> None:
        box = self.deliveries
        if record.nature in ("skipped", "emptied"):
            skipped = _decoded(record)
            assert isinstance(skipped, Skipped)
            confirming = self._confirming(record.entity, partition)
            assert box.skip(partition, offset, skipped, self.now)
            assert self._confirming(record.entity, partition) == confirming, "2: a confirmation was dropped"
            record.answered = True
        elif record.nature == "invalid":
            said = {"kind": "unknown", "entity_id": None, "reason": "invalid_event", "message": ""}
            assert box.refuse(partition, offset, None, size=SIZE, now=self.now, **said)  # type: ignore[arg-type]
            record.answered = record.answered or not self.dead_letters
        else:
            assert box.add(
                partition,
                offset,
                record.entity,
                None,
                size=SIZE,
                occurred_at=0.0,
                now=self.now,
                age=self.now - record.at,
                call_id=record.call_id,
            )
            if record.call_id:
                until = max(record.at + CALL_LASTS, self.on_call.get((partition, record.entity), 0.0))
                self.on_call[partition, record.entity] = until

    def _confirming(self, entity: Entity, partition: Partition) -> list[int]:
        """Offsets of the entity's states that wait for their confirmation."""
        queue = self.deliveries._queues.get(entity)
        slots = [slot for slot in queue.waiting if slot.confirming] if queue is not None else []
        return [slot.event.offset for slot in slots if slot.event.owner.partition == partition]

    @rule(partition=st.sampled_from(PARTITIONS))
    def assign(self, partition: Partition) -> None:
        """A new one, or one that is retained: that goes on with what it has."""
        log = self.logs[partition]
        unsettled = self.deliveries.unsettled
        new = self.deliveries.assign([partition], self.now)
        assert new == ([] if log.owned else [partition])
        assert self.deliveries.unsettled == unsettled, "an assignment drops nothing"
        if not log.owned:
            log.owned = True
            log.position = log.committed
            if log.dirty:
                self.deliveries.found_dirty([partition], self.now)
            self.deliveries.advance(partition, log.position, self.now)
            self.deliveries.set_end(partition, len(log.records) if self.catching_up else 0, self.now)

    @rule(partition=st.sampled_from(PARTITIONS), reason=st.sampled_from(["revoked", "lost"]))
    def release(self, partition: Partition, reason: str) -> None:
        if self.logs[partition].owned and reason == "revoked":
            self.suspend(partition)
        self.deliveries.release([partition], reason, self.now)
        self.on_call = {of: until for of, until in self.on_call.items() if of[0] != partition}
        self.logs[partition].owned = False

    def away_and_back(self, partition: Partition, reason: str) -> None:
        self.release(partition, reason)
        self.assign(partition)
        self.commit()
        self.read()

    def emptied_in_flight(self) -> None:
        """A cart is emptied while its request is in flight, which then fails."""
        if self.in_flight:
            self.produce(self.in_flight[0].entity, "emptied", other=False)
            self.read()
            self._answer(0, FAILURES["5xx"])

    def suspend(self, partition: Partition) -> None:
        """It is asked back; under an eager assignor it may be given again."""
        self.deliveries.suspend([partition])
        self._commit_last([partition])

    def _commit_last(self, partitions: list[Partition]) -> None:
        offsets, ambiguous = (
            self.deliveries.last_committable(partitions, self.now),
            self.deliveries.ambiguous(partitions, self.now),
        )
        self._commit(offsets, ambiguous)
        self.deliveries.committed(offsets, self.now, ambiguous)

    def the_position_goes_back(self, partition: Partition, back: int) -> None:
        """The client takes up an older offset, or a younger topic of the same name: what was held is void."""
        log = self.logs[partition]
        if log.owned and not self.deliveries.full():
            log.position = log.committed = max(0, log.committed - back)
            self._poll(partition, log)

    def the_log_loses_its_end(self, partition: Partition, records: int, *, noticed: bool) -> None:
        """Its new leader lacks it, and the shop changes again what was lost. `noticed` by the client's position before
        anything is read; a state that was lost with what had replaced it is the brokers' to answer for.
        """
        log = self.logs[partition]
        end = max(0, log.position - records)
        waits = [*(each.event for each in self.in_flight), *(letter.event for letter in self.letters)]
        later = [event.offset >= end for event in waits if event.owner.partition == partition]
        later += [at[1] >= end for _, _, at in self.api.landings if at[0] == partition]
        if not log.owned or self.deliveries.full() or any(later):
            return  # who comes later would meet another record at its offset: tests/core/test_partitions.py has these
        lost, log.records = log.records[end:], log.records[:end]
        log.position, log.read, log.committed = end, end, min(end, log.committed)
        for entity, at in self.api.holds.items():
            if at[0] == partition and at[1] >= end:
                self.api.holds[entity] = partition, -1
        for record in log.records:
            record.linked = record.linked or record.entity in {other.entity for other in lost}
        log.records += [Record(record.entity, "good", at=self.now) for record in lost]
        if noticed:
            self.deliveries.advance(partition, end, self.now)
        self._poll(partition, log)

    @rule()
    def commit(self) -> None:
        offsets = self.deliveries.committable()
        self._commit(offsets, set(offsets))
        self.deliveries.committed(offsets, self.now)

    def _commit(self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition]) -> None:
        for partition, offset in offsets.items():
            log, owner = self.logs[partition], self.deliveries.owned[partition]
            assert log.owned, "1: committed what it does not own"
            assert offset <= min(owner.unsettled, default=offset), "1: passed an unsettled event"
            assert offset >= log.committed, "1: a commit went back"
            log.committed, log.dirty = offset, partition in ambiguous

    # The senders.

    @rule()
    def take(self) -> None:
        while len(self.in_flight) < CONCURRENCY:
            calls, others = self._due()
            if (attempt := self.deliveries.take(self.now)) is None:
                break
            self._check(attempt)
            self._check_turn(attempt, calls=calls, others=others)
            self.sent[attempt.event.owner.epoch, attempt.entity] = attempt.event.offset
            self.in_flight.append(attempt)
        if len(self.in_flight) < CONCURRENCY:
            wake_at = self.deliveries.wake_at(self.now)
            assert wake_at is None or wake_at > self.now, "a sender would spin"

    def _due(self) -> tuple[bool, bool]:
        """Whether entities on a call are due, and others: what an open breaker does not stop and nothing holds back."""
        box = self.deliveries
        due = [
            self.now < queue.on_call_until
            for queue in box._queues._queues.values()
            if queue.in_flight is None
            and queue.waiting[0].due <= self.now
            and not queue.waiting[0].event.owner.held
            and queue.entity.kind in box.breakers.closed
        ]
        return any(due), not all(due)

    def _check_turn(self, attempt: Attempt, *, calls: bool, others: bool) -> None:
        entity = attempt.entity
        if entity != WANDERER:
            on_call = self.now < self.on_call.get((home(entity), entity), 0.0)
            assert attempt.on_call == on_call, "10: a call that nobody knows of, or none"
        if attempt.probe:
            return
        assert attempt.on_call or not calls or self.row == IN_A_ROW, "10: somebody on a call was passed over"
        assert not (attempt.on_call and others and self.row == IN_A_ROW), "10: calls starve others"
        self.row = self.row + others if attempt.on_call else 0

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 31.0]))
    def send(self, seconds: float) -> None:
        self.wait(seconds)
        self.take()

    def _check(self, attempt: Attempt) -> None:
        owner, offset = attempt.event.owner, attempt.event.offset
        assert attempt.entity not in {other.entity for other in self.in_flight}, "3: two in flight for an entity"
        assert offset >= self.sent.get((owner.epoch, attempt.entity), -1), "3: an older state after a newer one"
        assert owner.alive, "sent what it does not own"
        assert not owner.held, "sent what is held back"
        assert self.now <= self.last_start, "started after the last moment"
        assert self.now < self.deliveries.lease_until, "sent without a lease"
        dirty = self.logs[owner.partition].dirty or self.now >= owner.catch_up_until
        assert dirty, "2: sent what a successor would know nothing of"
        log = self.logs[owner.partition]
        later = [record.nature for record in log.records[offset + 1 : log.position] if record.entity == attempt.entity]
        assert attempt.confirming or "emptied" not in later, "2: sent what was emptied since"
        stopped = attempt.entity.kind not in self.deliveries.breakers.closed
        assert attempt.probe == stopped, "9: an open breaker lets only probes through"
        same = [other for other in self.in_flight if other.breaker is attempt.breaker]
        assert not (attempt.probe and same), "9: one probe at a time"

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, CONCURRENCY - 1), failure=st.sampled_from([None, None, None, "date", *FAILURES]))
    def answer(self, which: int, failure: str | None) -> None:
        outcome = busy_until(self.now, self.now + self.skew) if failure == "date" else FAILURES.get(failure or "")
        self._answer(which % len(self.in_flight), outcome)

    @rule(
        failure=st.sampled_from(["5xx", "refused connection", "key refused", "suspended"]),
        of_probes=st.sampled_from(["5xx", "key refused"]),
        rounds=st.integers(1, 8),
    )
    def outage(self, failure: str, of_probes: str, rounds: int) -> None:
        """After one more answer, in whose sight attempts of those who waited might count. Probes fail too."""
        if failure == "suspended":
            self.mass_rejection((rounds + 1) // 2)
            return
        self.take()
        if self.in_flight:
            self._answer(0, None)
        for _ in range(rounds):
            self.take()
            while self.in_flight:
                self._answer(0, FAILURES[of_probes if self.in_flight[0].probe else failure])
            self.wait(3.0)

    def mass_rejection(self, rounds: int) -> None:
        """The API rejects everything for a while, whatever it is."""
        for _ in range(rounds):
            for entity in ENTITIES:
                self.produce(entity, "good", other=False)
            self.read()
            for _ in range(3):
                self.wait(1.0)
                self.take()
                while self.in_flight:
                    self._answer(0, SUSPENDED)

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, CONCURRENCY - 1), lands_after=st.none() | st.sampled_from([0.05, 1.5, LATEST_LANDING]))
    def time_out(self, which: int, lands_after: float | None) -> None:
        self._may_land(self.in_flight[which % len(self.in_flight)], lands_after)
        self._answer(which % len(self.in_flight), TIMED_OUT)

    @precondition(lambda self: self.in_flight)
    @rule(newer=st.booleans(), lands_after=st.sampled_from([1.5, LATEST_LANDING]))
    def time_out_and_move_on(self, newer: bool, lands_after: float) -> None:
        entity = self.in_flight[0].entity
        self._may_land(self.in_flight[0], lands_after)
        self._answer(0, TIMED_OUT)
        for _ in range(2):
            if newer:
                self.produce_and_read(entity)
            self.wait(1.0)
            self.take()
            while self.in_flight:
                self._answer(0, None)
            newer = True

    def _may_land(self, attempt: Attempt, after: float | None) -> None:
        if after is not None and self._record(attempt).nature == "good":
            at = attempt.event.owner.partition, attempt.event.offset
            self.api.landings.append((self.now + after, attempt.entity, at))

    def _answer(self, which: int, failure: Outcome | None) -> None:
        """The request ends as its record's nature has it, unless something comes between."""
        attempt = self.in_flight.pop(which)
        record, box = self._record(attempt), self.deliveries
        outcome = failure or {"rejected": REJECTED, "poison": POISON}.get(record.nature, DELIVERED)
        if outcome is DELIVERED:
            self.api.holds[attempt.entity] = attempt.event.owner.partition, attempt.event.offset
        slot, attempts, owned = attempt.slot, attempt.slot.attempts, attempt.event.owner.alive
        settled_before, collapsed, letters = box.counts.settled(), box.counts.collapsed.total(), len(box.letters)
        closed, spared, link = set(box.breakers.closed), self._spared(attempt, outcome), attempt.event.link
        settled = box.settle(attempt, outcome, self.now)
        self._check_breakers(attempt.entity.kind, outcome, closed)
        if outcome.result in ANSWERED:
            self.answers.append(attempt.entity)
        if outcome.result in ANSWERED and not spared:
            rejected = outcome.result is Result.REJECTED
            record.answered = record.answered or (owned and not (self.dead_letters and rejected))
            if not rejected or (owned and not self.dead_letters):
                self._link_told(attempt.event, link)
            if rejected and owned:
                record.nature = "rejected"
        else:
            self._check_attempt(attempt, outcome, slot.attempts - attempts)
            replaced = box.counts.collapsed.total() - collapsed + attempt.confirming
            assert box.counts.settled() - settled_before <= replaced, "9: a failure settled an event"
            assert len(box.letters) == letters or settled.exhausted, "a letter of an event that is not at its end"
        if settled.stale:
            assert settled_before == box.counts.settled(), "settled what it does not own"

    def _link_told(self, event: QueuedEvent, link: Link | None) -> None:
        if link is not None and event.entity is not None:
            self.logs[event.owner.partition].link_told(event.entity, event.offset, link.texts[0])

    def _spared(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Whether the rejection of a probe must settle nothing, as everything of its kind is rejected."""
        entity, breaker = attempt.entity, self.deliveries.breakers.of[attempt.entity.kind]
        old = entity.kind == "order" or self.now - attempt.event.written_at > 900.0
        own_fault = outcome.reason == "unknown_visit_id" and old
        rejected = outcome.result is Result.REJECTED and not own_fault
        return attempt.probe and rejected and breaker.reason is TripReason.REJECTIONS

    def _check_breakers(self, kind: Kind, outcome: Outcome, closed: set[Kind]) -> None:
        breakers = self.deliveries.breakers
        if outcome.result not in ANSWERED:
            assert set(breakers.closed) <= closed, "9: a failure closed a breaker"
            return
        assert breakers.key.reason is None, "9: an answer must close the key's breaker"
        reasons = [None] if outcome is DELIVERED else [None, TripReason.REJECTIONS]
        assert breakers.of[kind].reason in reasons, "9: an answer must close its kind's breaker"

    def _check_attempt(self, attempt: Attempt, outcome: Outcome, counted: int) -> None:
        since = self.failing_since.setdefault(attempt.event, self.now)
        of_either_kind = self.now - since >= 86_400.0
        others = [
            entity
            for entity in self.answers[self.failed_at.get(attempt.slot, 0) :]
            if entity != attempt.entity and (of_either_kind or entity.kind == attempt.entity.kind)
        ]
        never = attempt.probe or outcome.reason == "http_429" or not others
        assert counted <= (0 if never else 1), "9: an attempt counted that must not"
        self.failed_at[attempt.slot] = len(self.answers)

    def _record(self, attempt: Attempt) -> Record:
        return self.logs[attempt.event.owner.partition].records[attempt.event.offset]

    def drain_and_start_again(self, back_after: float) -> None:
        """SIGTERM; what was left is read again by the next process, which knows what may still land."""
        self.last_start = self.now + 20.0
        self.deliveries.drain(self.now, self.last_start)
        while not self.deliveries.drained(self.now):
            assert self.now <= self.last_start + 1.0, "a drain must end"
            self.take()
            while self.in_flight:
                self._answer(0, None)
            self._write_letters()
            self.wait(1.0)
        self._commit_last(PARTITIONS)
        for partition in PARTITIONS:
            self.release(partition, "lost")
        self.wait(back_after)
        self._check_accounts()
        self.begin()

    # Invariants, after every step.

    @invariant()
    def commits_never_pass_what_is_unsettled(self) -> None:
        for log in self.logs.values():
            assert not log.lost(), f"1, 7: offsets {log.lost()} were lost"
            assert not log.unlinked(), f"10: links to calls at {log.unlinked()} were lost"

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        self._check_accounts()

    def _check_accounts(self) -> None:
        box = self.deliveries
        assert box.counts.consumed.total() == box.counts.settled() + box.unsettled, "6: the sum"
        held = [event for owner in box.owned.values() for event in owner.unsettled.values()]
        assert box.pending_bytes == sum(event.size for event in held), "4: bytes"
        for owner in box.owned.values():
            assert all(one < next_ for one, next_ in pairwise(owner.unsettled)), "the first must be the smallest"

    @invariant()
    def what_is_asked_of_active_partitions_only_is_true_of_all(self) -> None:
        check_active(self.deliveries)

    @invariant()
    def what_is_in_flight_is_what_was_taken(self) -> None:
        assert self.deliveries.in_flight == len(self.in_flight) <= CONCURRENCY, "4: in flight"
        TALLY.steps += 1

    def _pending_entities(self) -> int:
        held = [event for owner in self.deliveries.owned.values() for event in owner.unsettled.values()]
        flying = {attempt.entity for attempt in self.in_flight}
        return len({event.entity for event in held if event.entity} | flying) + sum(not event.entity for event in held)

    def teardown(self) -> None:
        self.rest()

    @rule()
    def rest(self) -> None:
        """The API answers, but for poison; then that heals too. After a while nothing is left over."""
        self.deliveries.lease_until = float("inf")
        for partition in PARTITIONS:
            self.assign(partition)
        self._settle_all_but({"poison"})
        if any(owner.unsettled for owner in self.deliveries.owned.values()):
            assert not len(self.deliveries.letters)
        self._check_newest()
        for log in self.logs.values():
            for record in log.records:
                record.nature = "good" if record.nature == "poison" else record.nature
        self._settle_all_but(set())
        assert (
            self.deliveries.pending
            == self.deliveries.unsettled
            == self.deliveries.pending_bytes
            == self.deliveries.in_flight
            == 0
        )
        ends = {partition: len(log.records) for partition, log in self.logs.items()}
        assert {partition: log.committed for partition, log in self.logs.items()} == ends, "5: committed = log end"
        self._check_newest()

    def _settle_all_but(self, natures: set[str]) -> None:
        """9: the breakers close whatever waits; of mass rejection only what is good can tell that it is over."""
        if TripReason.REJECTIONS in {breaker.reason for breaker in self.deliveries.breakers.of.values()}:
            for entity in ENTITIES[:2]:
                self.produce(entity, "good", other=False)
        for _ in range(400):
            self.read()
            self.take()
            while self.in_flight:
                self._answer(0, None)
            self._write_letters()
            self.commit()
            held = [(p, offset) for p, owner in self.deliveries.owned.items() for offset in uncarried(owner)]
            all_read = all(log.position == len(log.records) for log in self.logs.values())
            if all_read and not self.api.landings and all(self.logs[p].records[o].nature in natures for p, o in held):
                return
            wake_at = self.deliveries.wake_at(self.now)
            self.wait(10.0 if wake_at is None else min(max(wake_at - self.now, 0.01), 10.0))
        raise AssertionError(f"2, 9: never at rest: {self.deliveries!r}")

    def _check_newest(self) -> None:
        for entity in ENTITIES:
            logs = PARTITIONS if entity == WANDERER else [home(entity)]
            newest = {(partition, self.logs[partition].newest(entity)) for partition in logs}
            if all(offset is not None for _, offset in newest):
                assert self.api.holds.get(entity) in newest, f"2: {entity} is stale at rest"

    def _write_letters(self) -> None:
        assert not len(self.deliveries.letters)


class OutboxMachineWithDeadLetters(OutboxMachine):
    dead_letters = True

    @rule(most=st.integers(1, 3))
    def take_letters(self, most: int) -> None:
        self.letters += self.deliveries.letters.take(self.now, most)

    @precondition(lambda self: self.letters)
    @rule()
    def letter_written(self) -> None:
        letter = self.letters.pop(0)
        self.deliveries.letter_written(letter)
        record = self.logs[letter.event.owner.partition].records[letter.event.offset]
        if letter.reason == "attempts_exhausted":
            assert record.nature != "good" or letter.attempts >= self.rules_of_box.max_attempts
            record.nature = "exhausted"
        if letter.event.owner.alive:
            record.answered = True
            self._link_told(letter.event, letter.event.link)

    @precondition(lambda self: self.letters)
    @rule()
    def letters_failed(self) -> None:
        self.deliveries.letters.failed(self.letters, self.now)
        self.letters = []

    def _write_letters(self) -> None:
        self.take_letters(100)
        while self.letters:
            self.letter_written()


MACHINES: tuple[type[OutboxMachine], ...] = (OutboxMachine, OutboxMachineWithDeadLetters)


def uncarried(owner: OwnedPartition) -> set[int]:
    """What is unsettled but for records that only wait until their link was sent by another one."""
    links = [(event.link, event.offset) for event in owner.unsettled.values() if event.link is not None]
    return owner.unsettled.keys() - {offset for link, of in links for offset in link.carried(of)}


def _decoded(record: Record) -> Event | Skipped | Invalid:
    if record.nature == "skipped":
        return Skipped("tombstone")
    if record.nature == "emptied":
        return Skipped("empty_products", record.entity.kind, record.entity)
    if record.nature == "invalid":
        return Invalid("invalid_event", "unknown", "", "an object")
    return Event(record.entity, call_id=record.call_id)


def profile(examples: int, steps: int, phases: Sequence[Phase] = tuple(Phase)) -> settings:
    """So many examples of at most so many steps each, and nothing remembered from run to run."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=phases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
