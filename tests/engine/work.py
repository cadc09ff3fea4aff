"""What the workers of the engine's machine do: read, take, send and hear answers, with what must hold meanwhile."""

from hypothesis.stateful import RuleBasedStateMachine

from tests.core.machine import check_active
from tests.core.world import FAILURES
from tests.engine.world import CONCURRENCY, LEASE, NATURAL, Flight, Process, Seat, World
from worker.core.circuit_breaker import CircuitBreakers, TripReason
from worker.core.delivery_config import CATCH_UP_AT_MOST, DeliveryConfig
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.state import Attempt


def _spared(breakers: CircuitBreakers, attempt: Attempt, outcome: Outcome) -> bool:
    """A probe's rejection settles nothing while everything of its kind is rejected; here every visit is long over."""
    rejected = outcome.result is Result.REJECTED and outcome.reason != "unknown_visit_id"
    return attempt.probe and rejected and breakers.of[attempt.entity.kind].reason is TripReason.REJECTIONS


class Work(RuleBasedStateMachine):
    world: World
    seats: list[Seat]
    rules_of_box: DeliveryConfig

    def alive(self) -> list[tuple[Seat, Process]]:
        return [(seat, seat.process) for seat in self.seats if seat.process is not None]

    def turns(self, number: int) -> None:
        for _ in range(number):
            for _, process in self.alive():
                self._turn(process)

    def _turn(self, process: Process, *, draining: bool = False) -> None:
        member, before, bytes_before = process.consumer, self._pending(process), process.deliveries.pending_bytes
        polled, assigned = member.handed_out, set(member.positions)
        consumed = process.deliveries.counts.consumed.total()
        process.intake.turn(member, draining=draining)
        polled = member.handed_out - polled
        if draining:
            assert process.deliveries.counts.consumed.total() == consumed, "a draining worker takes nothing in"
            return
        assert process.deliveries.counts.consumed.total() == consumed + polled, "6: what was read is counted"
        for partition, owner in process.deliveries.owned.items():
            assert owner.position == member.position(partition), "5: a position was not taken over"
        rules = self.rules_of_box
        full = before and (before >= rules.max_pending or bytes_before >= rules.max_pending_bytes)
        assert not (full and polled and assigned == set(member.positions)), "4: reads on at its bound"
        assert self._pending(process) <= max(before, rules.max_pending - 1) + polled, "4: pending"

    def _pending(self, process: Process) -> int:
        held = [event for owner in process.deliveries.owned.values() for event in owner.unsettled.values()]
        flying = {flight.entry.entity for flight in process.flights}
        return len({event.entity for event in held if event.entity} | flying) + sum(not event.entity for event in held)

    def _take(self, seat: Seat) -> None:
        process = seat.process
        assert process is not None
        process.send()
        self._check_awake(process)

    def _check_awake(self, process: Process) -> None:
        """Nothing is due that the sending loop does not know of."""
        if len(process.flights) < CONCURRENCY and not process.queue.closed:
            wake_at = process.deliveries.wake_at(self.world.now)
            assert wake_at is None or wake_at > self.world.now, "what is due waits for a wake-up that was lost"

    def _check(self, seat: Seat, process: Process, flight: Flight) -> None:
        attempt, owner, now = flight.attempt, flight.attempt.event.owner, self.world.now
        assert attempt.entity not in {other.entry.entity for other in process.flights}, "3: two in flight"
        assert attempt.event.offset >= process.sent.get((owner.epoch, attempt.entity), -1), "3: older after newer"
        assert self.world.owners[owner.partition] is seat, "sent what is another's"
        assert now < seat.heard + LEASE, "sent without a lease"
        assert now <= process.last_start, "started after the last moment"
        waited = now >= process.assigned_at[owner.partition] + CATCH_UP_AT_MOST
        assert flight.dirty or waited, "2: sent what a successor would know nothing of"
        later = self.world.logs[owner.partition].entries[attempt.event.offset + 1 : owner.position]
        emptied = any(entry.entity == attempt.entity and entry.nature == "empty" for entry in later)
        assert attempt.confirming or not emptied, "2: sent what was emptied since"
        stopped = attempt.entity.kind not in process.deliveries.breakers.closed
        assert attempt.probe == stopped, "9: an open breaker lets only probes through"
        same = [other for other in process.flights if other.attempt.breaker is attempt.breaker]
        assert not (attempt.probe and same), "9: one probe at a time"
        process.sent[owner.epoch, attempt.entity] = attempt.event.offset

    def _deliver_all(self) -> None:
        for _, process in self.alive():
            for flight in list(process.flights):
                self._answer(process, flight)

    def _answer(
        self, process: Process, flight: Flight, failure: Outcome | None = None, lands_after: float | None = None
    ) -> None:
        """The request ends as its record's nature has it, unless something comes between."""
        box, entry = process.deliveries, flight.entry
        outcome = FAILURES["refused connection"] if flight.void else failure or NATURAL.get(entry.nature, DELIVERED)
        if outcome.ambiguous:
            self.world.may_land(flight, lands_after)
        if flight in self.world.abandoned:
            self.world.abandoned.remove(flight)
        settled_before, collapsed, letters = box.counts.settled(), box.counts.collapsed.total(), len(box.letters)
        closed, owned = set(box.breakers.closed), flight.attempt.event.owner.alive
        spared = _spared(box.breakers, flight.attempt, outcome)
        settled = process.finish(flight, outcome)
        self._check_awake(process)
        answered = outcome.result in (Result.DELIVERED, Result.REJECTED)
        assert answered or set(box.breakers.closed) <= closed, "9: a failure closed a breaker"
        assert not answered or box.breakers.key.reason is None, "9: an answer must close the key's breaker"
        if answered and not spared:
            entry.answered = entry.answered or outcome is DELIVERED or not self.world.dead_letters
            if outcome is DELIVERED or (owned and not self.world.dead_letters):
                self.world.link_told(entry, flight.told)
            if outcome.result is Result.REJECTED and owned:
                entry.nature = "rejected"
        else:
            replaced = box.counts.collapsed.total() - collapsed + flight.attempt.confirming
            assert box.counts.settled() - settled_before <= replaced, "9: a failure settled an event"
            assert len(box.letters) == letters or settled.exhausted, "a letter of an event that is not at its end"
        assert not (settled.stale and box.counts.settled() != settled_before), "settled what it does not own"

    def _abandon(self, flight: Flight) -> None:
        if flight.abandoned_at is None:
            flight.abandoned_at = self.world.now
            self.world.abandoned.append(flight)

    def _check_accounts(self, process: Process) -> None:
        snapshot, owned = process.status.snapshot(), process.deliveries.owned
        held = [event for owner in owned.values() for event in owner.unsettled.values()]
        assert snapshot.counts.consumed.total() == snapshot.counts.settled() + len(held), "6: the sum"
        assert snapshot.pending_bytes == sum(event.size for event in held), "4: bytes"
        assert snapshot.in_flight == len(process.flights) <= CONCURRENCY, "4: in flight"
        check_active(process.deliveries)
