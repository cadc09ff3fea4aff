"""The engine as a state machine: two workers of one group in one thread, among a broker, an API and clocks of its own.

The numbers are those of the invariants in docs/delivery.md. What tests/core/machine.py does with the outbox alone is
done here with all that stands around it: partitions move between processes, which crash, return at once, are cut off
and thrown out, while commits are answered late and requests land late.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Literal
from unittest.mock import patch

import structlog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import LogCapture

from tests.core.machine import Tally
from tests.core.world import BACK_AFTER, FAILURES, LATEST_LANDING, POISON, SESSION_TIMEOUT, TIMED_OUT
from tests.engine.world import (
    DEADLINE,
    ENTITIES,
    LEASE,
    NATURAL,
    NATURES,
    PARTITIONS,
    Fate,
    Flight,
    Nature,
    Process,
    Seat,
    World,
    leaked,
)
from worker.adapters.health import _page
from worker.adapters.metrics import PREFIX
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.ownership import Partition
from worker.core.rules import CATCH_UP_AT_MOST, OVERHEAD, Rules

CONCURRENCY = 3
DRAIN_TIMEOUT = 25.0
TALLY = Tally()
SEATS = st.integers(0, 1)
LANDINGS = st.sampled_from([None, 0.05, 1.5, LATEST_LANDING])
Sequel = Literal["nothing", "overtake", "move"]
SEQUELS: list[Sequel] = ["nothing", "overtake", "move"]
FATES: list[Fate] = ["applied", "applied", "unheard", "refused", "raised"]


class EngineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.around = ExitStack()
        self.before = sys.exc_info()[1]

    @initialize(
        dead_letters=st.booleans(),
        eager=st.booleans(),
        max_attempts=st.sampled_from([2, 50]),
        bounds=st.tuples(st.sampled_from([4, 4, 50]), st.sampled_from([4 * OVERHEAD, 10**6])),
        rate=st.sampled_from([0.0, 0.0, 6.0]),
    )
    def start(self, dead_letters: bool, eager: bool, max_attempts: int, bounds: tuple[int, int], rate: float) -> None:
        TALLY.examples += 1
        self.rules_of_box = Rules(
            lambda tries: min(2.0**tries, 30.0),
            max_pending=bounds[0],
            max_pending_bytes=bounds[1],
            max_attempts=max_attempts,
            dead_letters=dead_letters,
        )
        self.rate = rate
        self.world = World(dead_letters, eager)
        for module in ("intake", "sender"):
            self.around.enter_context(patch(f"worker.engine.{module}.time", self.world))
        self.said = LogCapture()
        self.around.callback(structlog.configure, **structlog.get_config())
        structlog.reset_defaults()
        structlog.configure(processors=[self.said])
        self.seats = [Seat("first"), Seat("second")]
        self.orphans_at = float("inf")
        self.rebalancing = False
        for seat in self.seats:
            seat.process, seat.heard = self._process(seat), self.world.now
        self.world.owners = {p: self.seats[number // 2] for number, p in enumerate(PARTITIONS)}
        for seat in self.seats:
            self._tell(seat)
        self.turns(2)

    def _process(self, seat: Seat) -> Process:
        return Process(self.world, seat, self.rules_of_box, self.rate)

    def alive(self) -> list[tuple[Seat, Process]]:
        return [(seat, seat.process) for seat in self.seats if seat.process is not None]

    # Producers, and time.

    @rule(entity=st.sampled_from(ENTITIES), nature=st.sampled_from(NATURES))
    def produce(self, entity: Entity, nature: Nature) -> None:
        self.world.produce(entity, nature)

    @rule(natures=st.lists(st.sampled_from(NATURES), min_size=len(ENTITIES), max_size=len(ENTITIES)))
    def one_of_each(self, natures: list[Nature]) -> None:
        for entity, nature in zip(ENTITIES, natures, strict=True):
            self.world.produce(entity, nature)
        self.send(0.5, None)

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 10.0, 61.0]), lands_after=LANDINGS)
    def wait(self, seconds: float, lands_after: float | None) -> None:
        """What comes due meanwhile happens in its time: deadlines, landings, ends of sessions, returns."""
        until = self.world.now + seconds
        while (happening := self._next(until, lands_after)) is not None:
            self.world.now, happens = max(happening[0], self.world.now), happening[2]
            happens()
        self.world.now = until
        for seat, _ in self.alive():
            if not seat.cut:
                seat.heard = until

    def _next(self, until: float, lands_after: float | None) -> tuple[float, int, Callable[[], object]] | None:
        happening: list[tuple[float, int, Callable[[], object]]] = [
            (landing[0], 0, self.world.land) for landing in self.world.landings
        ]
        happening.append((self.orphans_at, 1, self._adopt))
        for seat in self.seats:
            if seat.process is None:
                happening.append((seat.back_at or 0.0, 2, lambda seat=seat: self._come_back(seat)))  # type: ignore[misc]
                continue
            for flight in seat.process.flights:
                out_of_time: Callable[[], object] = lambda p=seat.process, f=flight: (  # type: ignore[misc] # noqa: E731
                    self._answer(p, f, TIMED_OUT, lands_after)
                )
                happening.append((flight.deadline, 3, out_of_time))
            if seat.cut and not seat.expelled:
                happening.append((seat.heard + SESSION_TIMEOUT, 4, lambda seat=seat: self._expel(seat)))  # type: ignore[misc]
        first = min(happening, key=lambda one: one[:2])
        return first if first[0] <= until else None

    # The workers.

    @rule(which=SEATS)
    def turn(self, which: int) -> None:
        if (process := self.seats[which].process) is not None:
            self._turn(process)

    def turns(self, number: int) -> None:
        for _ in range(number):
            for _, process in self.alive():
                self._turn(process)

    def _turn(self, process: Process, *, draining: bool = False) -> None:
        member, before, bytes_before = process.consumer, self._pending(process), process.outbox.pending_bytes
        polled, assigned = member.handed_out, set(member.positions)
        consumed = process.outbox.counts.consumed.total()
        process.intake.turn(member, draining=draining)
        polled = member.handed_out - polled
        if draining:
            assert process.outbox.counts.consumed.total() == consumed, "a draining worker takes nothing in"
            return
        assert process.outbox.counts.consumed.total() == consumed + polled, "6: what was read is counted"
        rules = self.rules_of_box
        full = before and (before >= rules.max_pending or bytes_before >= rules.max_pending_bytes)
        assert not (full and polled and assigned == set(member.positions)), "4: reads on at its bound"
        assert self._pending(process) <= max(before, rules.max_pending - 1) + polled, "4: pending"

    @rule(which=SEATS)
    def take(self, which: int) -> None:
        if self.seats[which].process is not None:
            self._take(self.seats[which])

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 31.0]), lands_after=LANDINGS)
    def send(self, seconds: float, lands_after: float | None) -> None:
        self.turns(1)
        self.wait(seconds, lands_after)
        self.turns(1)
        for seat, _ in self.alive():
            self._take(seat)

    def _take(self, seat: Seat) -> None:
        process = seat.process
        assert process is not None
        while len(process.flights) < CONCURRENCY:
            shut = process.outbox.gate.shut is not None
            with process.desk.outbox() as outbox:
                delivery = outbox.take(self.world.now)
                wake_at = outbox.wake_at(self.world.now)
            if delivery is None:
                assert wake_at is None or wake_at > self.world.now, "a sender would spin"
                return
            log = self.world.logs[delivery.event.owner.partition]
            entry = log.entries[delivery.event.offset]
            flight = Flight(delivery, entry, self.world.now + DEADLINE, log.noted)
            self._check(seat, process, flight, shut=shut)
            process.sent[delivery.event.owner.epoch, delivery.entity] = delivery.event.offset
            process.flights.append(flight)

    def _check(self, seat: Seat, process: Process, flight: Flight, *, shut: bool) -> None:
        delivery, owner, now = flight.delivery, flight.delivery.event.owner, self.world.now
        assert delivery.entity not in {other.entry.entity for other in process.flights}, "3: two in flight"
        assert delivery.event.offset >= process.sent.get((owner.epoch, delivery.entity), -1), "3: older after newer"
        assert self.world.owners[owner.partition] is seat, "sent what is another's"
        assert now < seat.heard + LEASE, "sent without a lease"
        assert now <= process.last_start, "started after the last moment"
        waited = now >= process.assigned_at[owner.partition] + CATCH_UP_AT_MOST
        assert flight.noted or waited, "2: sent what a successor would know nothing of"
        assert delivery.probe == shut, "9: a shut gate lets only probes through"
        probes = sum(other.delivery.probe for other in process.flights)
        assert not (delivery.probe and probes), "9: one probe at a time"

    @rule(which=SEATS, number=st.integers(0, CONCURRENCY - 1), failure=st.sampled_from([None] * 4 + list(FAILURES)))
    def answer(self, which: int, number: int, failure: str | None) -> None:
        process = self.seats[which].process
        if process is not None and process.flights:
            self._answer(process, process.flights[number % len(process.flights)], FAILURES.get(failure or ""))

    @rule(which=SEATS, number=st.integers(0, CONCURRENCY - 1), lands_after=LANDINGS, then=st.sampled_from(SEQUELS))
    def time_out(self, which: int, number: int, lands_after: float | None, then: Sequel) -> None:
        """And a newer state may follow at once, from the same worker or the other one."""
        process = self.seats[which].process
        if process is not None and process.flights:
            flight = process.flights[number % len(process.flights)]
            self._answer(process, flight, TIMED_OUT, lands_after)
            if then == "move":
                self._move(flight.entry.partition)
            if then != "nothing":
                self._overtake(flight.entry.entity)

    @rule(failure=st.sampled_from(["5xx", "refused connection", "key refused"]), rounds=st.integers(1, 8))
    def outage(self, failure: str, rounds: int) -> None:
        """After one more answer, in whose sight attempts of those who waited might count. Probes fail too."""
        self.send(0.5, None)
        for _, process in self.alive():
            if process.flights:
                self._answer(process, process.flights[0])
        for _ in range(rounds):
            self.send(3.0, None)
            for _, process in self.alive():
                for flight in list(process.flights):
                    self._answer(process, flight, POISON if flight.delivery.probe else FAILURES[failure])

    def _backlog(self) -> None:
        """Something of everybody waits, and more is unread."""
        for _ in range(2):
            self.turns(1)
            for entity in ENTITIES:
                self.world.produce(entity, "good")

    def _overtake(self, entity: Entity) -> None:
        """A newer state is delivered by whoever has it."""
        self.world.produce(entity, "good")
        self.turns(2)
        self.send(1.0, LATEST_LANDING)
        self._deliver_all()

    def _deliver_all(self) -> None:
        for _, process in self.alive():
            for flight in list(process.flights):
                self._answer(process, flight)

    def _answer(
        self, process: Process, flight: Flight, failure: Outcome | None = None, lands_after: float | None = None
    ) -> None:
        """The request ends as its record's nature has it, unless something comes between."""
        process.flights.remove(flight)
        box, entry = process.outbox, flight.entry
        outcome = FAILURES["refused connection"] if flight.void else failure or NATURAL.get(entry.nature, DELIVERED)
        if outcome.ambiguous:
            self.world.may_land(flight, lands_after)
        if flight in self.world.abandoned:
            self.world.abandoned.remove(flight)
        settled_before, collapsed, letters = box.counts.settled(), box.counts.collapsed.total(), len(box.letters)
        settled = process.finish(flight, outcome)
        if outcome.result in (Result.DELIVERED, Result.REJECTED):
            assert box.gate.shut is None, "9: an answer must open the gate"
            entry.answered = entry.answered or outcome is DELIVERED or not self.world.dead_letters
        else:
            replaced = box.counts.collapsed.total() - collapsed + flight.delivery.confirming
            assert box.counts.settled() - settled_before <= replaced, "9: a failure settled an event"
            assert len(box.letters) == letters or settled.exhausted, "a letter of an event that is not at its end"
        assert not (settled.stale and box.counts.settled() != settled_before), "settled what it does not own"

    @rule(which=SEATS, refuses=st.booleans(), moves=st.booleans(), number=st.integers(0, len(ENTITIES) - 1))
    def write_letters(self, which: int, refuses: bool, moves: bool, number: int) -> None:
        """Of a damaged record, at least. Before they are acknowledged, or not, its partition may have gone."""
        if self.world.dead_letters and (process := self.seats[which].process) is not None:
            self.world.produce(ENTITIES[number], "malformed")
            self.turns(2)
            process.shelf.refuses = refuses
            if moves:
                process.shelf.meanwhile = lambda: self._move(self.world.entries[-1].partition, wait=True)
            process.postman.run()
            process.shelf.meanwhile = lambda: None

    @rule(which=SEATS, fates=st.lists(st.tuples(st.sampled_from(FATES), st.sampled_from([0, 1, 3, 99])), max_size=3))
    def commits(self, which: int, fates: list[tuple[Fate, int]]) -> None:
        if (process := self.seats[which].process) is not None:
            process.consumer.fates = fates

    # The group.

    @rule(
        kind=st.sampled_from(["crash", "stop", "cut", "mend", "lost", "poll", "slow", "clock"]),
        which=SEATS,
        number=st.integers(0, 3),
        lands_after=LANDINGS,
        overtake=st.booleans(),
    )
    def trouble(self, kind: str, which: int, number: int, lands_after: float | None, overtake: bool) -> None:
        """One rule for all that is rare: as many rules would leave little room for work between them."""
        seat = self.seats[which]
        if kind == "clock":
            self.world.skew = [-86_400.0, -11.0, 11.0, 86_400.0][number]
        if (process := seat.process) is None:
            return
        lost = [flight.entry.entity for flight in process.flights]
        if kind in ("stop", "cut") and overtake:
            self._backlog()
        if kind == "crash":
            self._crash(seat, BACK_AFTER[number], lands_after)
        elif kind == "stop":
            self._stop(seat, process, BACK_AFTER[number], lands_after)
        elif kind == "lost" and not seat.cut:
            self._lose(process, sorted(process.consumer.positions))
        elif kind in ("cut", "mend"):
            (self._cut if kind == "cut" else self._mend)(seat)
            self.wait(LEASE if kind == "cut" and overtake else 0.0, lands_after)
            self._take(seat)
        process.consumer.poll_fails, process.consumer.slow = kind == "poll", kind == "slow"
        if kind in ("crash", "lost") and overtake and lost:
            self._overtake(lost[0])

    def _crash(self, seat: Seat, back_after: float, lands_after: float | None) -> None:
        """Its requests may still land. A static member owns its partitions again at once, if it is back in time."""
        assert seat.process is not None
        for flight in seat.process.flights:
            self._abandon(flight)
            self.world.may_land(flight, lands_after)
        self._leave(seat, back_after, self.world.now + SESSION_TIMEOUT)

    def _leave(self, seat: Seat, back_after: float, orphans_at: float) -> None:
        assert seat.process is not None
        self.world.abandoned = [f for f in self.world.abandoned if f not in seat.process.flights]
        seat.process, seat.back_at = None, self.world.now + back_after
        if back_after >= SESSION_TIMEOUT or seat.cut or self.rebalancing:
            self._orphan(seat, orphans_at)
        self.wait(0.0, None)

    def _stop(self, seat: Seat, process: Process, back_after: float, lands_after: float | None) -> None:
        """SIGTERM; what was left is read again by the next owner, who knows what may still land.

        The first requests time out, or all do.
        """
        outcome = None if lands_after is None else TIMED_OUT
        until = self.world.now + DRAIN_TIMEOUT
        process.draining, process.last_start = True, until - DEADLINE
        with process.desk.outbox() as outbox:
            outbox.drain(self.world.now, process.last_start)
        while self.world.now < until and not process.outbox.drained(self.world.now):
            self._turn(process, draining=True)
            self._take(seat)
            for flight in list(process.flights):
                self._answer(process, flight, outcome, LATEST_LANDING)
            outcome = outcome if lands_after == LATEST_LANDING else None
            process.postman.run()
            self.wait(1.0, LATEST_LANDING)
        process.commits.now(process.consumer, 5.0)
        with process.desk.outbox() as outbox:
            outbox.release(list(outbox.owned), "shutdown", self.world.now)
        self._check_accounts(process)
        self._leave(seat, back_after, self.world.now)

    def _cut(self, seat: Seat) -> None:
        seat.cut, seat.expelled = True, False

    def _mend(self, seat: Seat) -> None:
        """Who was thrown out hears of it now, and joins again."""
        if not seat.cut:
            return
        seat.cut, seat.heard = False, self.world.now
        if seat.process is not None:
            if seat.expelled:
                self._lose(seat.process, sorted(seat.process.consumer.positions))
            self._tell(seat)
        seat.expelled = False
        if self.orphans_at == float("inf"):
            self._adopt()

    def _expel(self, seat: Seat) -> None:
        seat.expelled = True
        self._orphan(seat, self.world.now)

    def _lose(self, process: Process, partitions: list[Partition]) -> None:
        """Without notice: they are others' already, or will be."""
        if partitions:
            process.rebalancer.release(partitions, "lost")
        process.consumer.positions, process.consumer.told = {}, None
        self._orphan(process.consumer.seat, self.world.now)

    def _orphan(self, seat: Seat, until: float) -> None:
        for partition, owner in self.world.owners.items():
            if owner is seat and not (seat.cut and not seat.expelled and seat.process is not None):
                self._now_of(partition, None)
                self.orphans_at = until

    def _now_of(self, partition: Partition, seat: Seat | None) -> None:
        before, self.world.owners[partition] = self.world.owners[partition], seat
        if before is not seat and before is not None and before.process is not None:
            for flight in before.process.flights:
                if flight.entry.partition == partition:
                    self._abandon(flight)

    def _abandon(self, flight: Flight) -> None:
        if flight.abandoned_at is None:
            flight.abandoned_at = self.world.now
            self.world.abandoned.append(flight)

    def _adopt(self) -> None:
        """What is nobody's goes to whoever is there."""
        able = [seat for seat in self.seats if seat.able]
        self.orphans_at = float("inf")
        if able:
            orphans = [partition for partition, owner in self.world.owners.items() if owner is None]
            self._rebalance({partition: able[number % len(able)] for number, partition in enumerate(orphans)})

    def _come_back(self, seat: Seat) -> None:
        seat.process, seat.heard, seat.cut, seat.expelled = self._process(seat), self.world.now, False, False
        self._rebalance({})
        self._tell(seat)
        if self.orphans_at == float("inf"):
            self._adopt()

    @rule(partition=st.sampled_from(PARTITIONS), wait=st.booleans())
    def move(self, partition: Partition, wait: bool) -> None:
        """To the other one. Under an eager assignor it is in between for some steps."""
        if self.world.eager and not self.rebalancing:
            self._ask_back(wait=wait)
        else:
            self._move(partition, wait=wait)

    @rule(
        partition=st.sampled_from(PARTITIONS),
        wait=st.booleans(),
        before=st.tuples(st.sampled_from(FATES), st.integers(0, 3)),
        last=st.sampled_from(FATES),
    )
    def move_and_back(self, partition: Partition, wait: bool, before: tuple[Fate, int], last: Fate) -> None:
        """All is settled; a commit may still be under way, and another is the last one. Then there is more to send."""
        seat = self.world.owners[partition]
        if seat is None or seat.process is None:
            return
        self.one_of_each(["good"] * len(ENTITIES))
        self._deliver_all()
        seat.process.consumer.fates = [before]
        self.wait(1.0, None)
        self.turns(2 if wait else 1)
        seat.process.consumer.fates = [(last, 0)]
        for _ in range(2):
            self._move(partition, wait=wait)
            self.turns(1)
        self.one_of_each(["good"] * len(ENTITIES))

    def _move(self, partition: Partition, *, wait: bool = False) -> None:
        before = self.world.owners[partition]
        after = self.seats[before is self.seats[0]]
        if before is not None and before.able and after.able:
            self._rebalance({partition: after}, wait=wait)

    def _rebalance(self, moves: Mapping[Partition, Seat], *, wait: bool = False) -> None:
        if self.world.eager and not self.rebalancing:
            self._ask_back(wait=wait)
        for seat in self.seats:
            if not self.world.eager and seat.able:
                self._revoke(seat, [p for p in moves if self.world.owners[p] is seat], wait=wait)
        for partition, seat in moves.items():
            self._now_of(partition, seat)
        self.rebalancing = False
        for seat in self.seats:
            self._tell(seat)

    def _ask_back(self, *, wait: bool) -> None:
        self.rebalancing = True
        for seat in self.seats:
            if seat.able:
                self._revoke(seat, PARTITIONS, wait=wait)

    def _revoke(self, seat: Seat, partitions: Collection[Partition], *, wait: bool) -> None:
        """As the adapter's listener does. What is still under way at the end of its patience is left."""
        process = seat.process
        assert process is not None
        rebalancer, member = process.rebalancer, process.consumer
        going = [partition for partition in partitions if partition in member.positions]
        if not going:
            return
        rebalancer.suspend(going)
        for flight in list(process.flights) if wait else []:
            if flight.entry.partition in going:
                self._answer(process, flight)
        offsets = rebalancer.committable(going)
        if offsets:
            unclear = rebalancer.unclear(going)
            rebalancer.committed(offsets, unclear, member.commit_last(offsets, unclear))
        if not self.world.eager:
            rebalancer.release(going, "revoked")
            for partition in going:
                del member.positions[partition]

    def _tell(self, seat: Seat) -> None:
        if seat.process is not None and seat.able:
            seat.process.consumer.told = [p for p, owner in self.world.owners.items() if owner is seat]

    # Invariants, after every step.

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        for _, process in self.alive():
            self._check_accounts(process)
        TALLY.steps += 1

    @invariant()
    def the_key_is_in_no_log_line(self) -> None:
        lines, self.said.entries = self.said.entries, []
        for line in lines:
            assert not leaked(repr(line)), f"8: the key in a log line: {line['event']}"

    def _check_accounts(self, process: Process) -> None:
        snapshot, owned = process.status.snapshot(), process.outbox.owned
        held = [event for owner in owned.values() for event in owner.unsettled.values()]
        assert snapshot.counts.consumed.total() == snapshot.counts.settled() + len(held), "6: the sum"
        assert snapshot.pending_bytes == sum(event.size for event in held), "4: bytes"
        assert snapshot.in_flight == len(process.flights) <= CONCURRENCY, "4: in flight"

    def _pending(self, process: Process) -> int:
        held = [event for owner in process.outbox.owned.values() for event in owner.unsettled.values()]
        flying = {flight.entry.entity for flight in process.flights}
        return len({event.entity for event in held if event.entity} | flying) + sum(not event.entity for event in held)

    # At rest.

    def teardown(self) -> None:
        """After a step that failed it would only say something else."""
        with self.around:
            if sys.exc_info()[1] is self.before:
                self.rest()
                for _, process in self.alive():
                    self._look_from_outside(process)

    @rule()
    def rest(self) -> None:
        """All are there, and all is well but for poison; then that heals too. After a while nothing is left over."""
        for seat in self.seats:
            self._mend(seat)
            if seat.process is None:
                self._come_back(seat)
        self._rebalance({})
        for _, process in self.alive():
            process.consumer.fates, process.consumer.poll_fails, process.shelf.refuses = [], False, False
            process.consumer.answers = [(0, done, error) for _, done, error in process.consumer.answers]
        self._settle_all_but("poison")
        self._check_newest()
        for entry in self.world.entries:
            entry.nature = "good" if entry.nature == "poison" else entry.nature
        self._settle_all_but("nothing")
        self._check_newest()
        for _ in range(2):  # what was answered too late to be believed is committed once more
            self.wait(1.0, None)
            self.turns(1)
        for _, process in self.alive():
            self._check_at_rest(process)

    def _settle_all_but(self, nature: str) -> None:
        """5, 9: the gate opens, and all is committed, whatever waits."""
        for _ in range(400):
            self.turns(1)
            for seat, process in self.alive():
                self._take(seat)
                process.postman.run()
            self._deliver_all()
            if self._settled(nature):
                return
            wakes = [process.outbox.wake_at(self.world.now) or float("inf") for _, process in self.alive()]
            self.wait(min(max(min(wakes) - self.world.now, 0.01), 10.0), None)
        raise AssertionError(f"2, 5, 9: never at rest: {[process.outbox for _, process in self.alive()]}")

    def _settled(self, nature: str) -> bool:
        left = [log.entries[log.committed] for log in self.world.logs.values() if log.committed < len(log.entries)]
        read = {
            partition: position
            for _, process in self.alive()
            for partition, position in process.consumer.positions.items()
        }
        held = [
            self.world.logs[partition].entries[offset]
            for _, process in self.alive()
            for partition, owner in process.outbox.owned.items()
            for offset in owner.unsettled
        ]
        all_read = read == {partition: len(log.entries) for partition, log in self.world.logs.items()}
        return all_read and not self.world.landings and {entry.nature for entry in (*left, *held)} <= {nature}

    def _check_newest(self) -> None:
        for entity in ENTITIES:
            newest = self.world.logs[PARTITIONS[int(entity.id) % len(PARTITIONS)]].newest(entity)
            assert newest is None or self.world.holds.get(entity) == newest, f"2: {entity} is stale at rest"

    def _check_at_rest(self, process: Process) -> None:
        self._check_accounts(process)
        now = process.status.snapshot()
        assert now.pending == now.pending_bytes == now.in_flight == now.unsettled == 0, "4: not back at 0"
        assert now.oldest_unsettled == 0, "4: not back at 0"
        for partition, state in now.partitions.items():
            assert state.committed == state.position == len(self.world.logs[partition].entries), "5: as it knows itself"
        assert process.status.healthz().ok

    def _look_from_outside(self, process: Process) -> None:
        """6 and 8, once for each example: to parse an exposition takes longer than ten steps."""
        exposed = process.metrics.exposition().decode()
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(exposed):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        became = ("collapsed", "skipped", "delivered", "rejected", "released")
        total = sum(sums[f"{PREFIX}events_{name}_total"] for name in became)
        assert sums[f"{PREFIX}events_consumed_total"] == total, "6: as exposed"
        assert sums.get(f"{PREFIX}consumer_lag", 0.0) == 0, "5: as exposed"
        pages = [_page(health)[2].decode() for health in (process.status.healthz(), process.status.readyz())]
        assert not any(map(leaked, [exposed, *pages])), "8: the key on a page"
        assert not any(leaked(repr(piece)) for piece in process.pieces()), "8: the key in a repr"


MACHINES: tuple[type[EngineMachine], ...] = (EngineMachine,)
