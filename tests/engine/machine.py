"""The engine as a state machine: two workers of one group in one thread, among a broker, an API and clocks of its own.

The numbers are those of the invariants in docs/delivery.md. tests/core/machine.py drives the delivery queue alone;
this machine drives everything around it too. Partitions move between processes, and processes crash, return at once,
are cut off and thrown out, while commits are answered late and requests are applied late.
"""

import sys
from contextlib import ExitStack
from typing import Literal
from unittest.mock import patch

import structlog
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import LogCapture

from tests.core.machine import Tally, uncarried
from tests.core.world import BACK_AFTER, CALLS, FAILURES, LATEST_LANDING, SUSPENDED, TIMED_OUT
from tests.engine.group import LANDINGS, Group
from tests.engine.world import (
    CONCURRENCY,
    DEADLINE,
    ENTITIES,
    LEASE,
    NATURES,
    PARTITIONS,
    Fate,
    Nature,
    Process,
    Seat,
    World,
    leaked,
)
from worker.adapters.health import _page
from worker.adapters.metrics import PREFIX
from worker.core.calls import LINK_LASTS
from worker.core.delivery_config import OVERHEAD, DeliveryConfig
from worker.core.event import Entity
from worker.core.state import Partition

DRAIN_TIMEOUT = 25.0
TALLY = Tally()
SEATS = st.integers(0, 1)
Sequel = Literal["nothing", "overtake", "move"]
SEQUELS: list[Sequel] = ["nothing", "overtake", "move"]
FATES: list[Fate] = ["applied", "applied", "unheard", "refused", "raised"]


class EngineMachine(Group):
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
        self.rules_of_box = DeliveryConfig(
            lambda tries: min(2.0**tries, 30.0),
            max_pending=bounds[0],
            max_pending_bytes=bounds[1],
            max_attempts=max_attempts,
            dead_letters=dead_letters,
            rejection_limit=3,
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

    # Producers, and time.

    @rule(entity=st.sampled_from(ENTITIES), nature=st.sampled_from(NATURES), call_id=st.sampled_from(CALLS))
    def produce(self, entity: Entity, nature: Nature, call_id: str | None) -> None:
        self.world.produce(entity, nature, call_id)

    @rule(natures=st.lists(st.sampled_from(NATURES), min_size=len(ENTITIES), max_size=len(ENTITIES)))
    def one_of_each(self, natures: list[Nature]) -> None:
        for entity, nature in zip(ENTITIES, natures, strict=True):
            self.world.produce(entity, nature)
        self.send(0.5, None)

    # The workers.

    @rule(which=SEATS)
    def turn(self, which: int) -> None:
        if (process := self.seats[which].process) is not None:
            self._turn(process)

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
        self.send(0.5, None)
        for _, process in self.alive():
            if process.flights:
                self._answer(process, process.flights[0])
        for _ in range(rounds):
            self.send(3.0, None)
            for _, process in self.alive():
                for flight in list(process.flights):
                    self._answer(process, flight, FAILURES[of_probes if flight.attempt.probe else failure])

    def mass_rejection(self, rounds: int) -> None:
        """The API rejects everything for a while, whatever it is."""
        for _ in range(rounds):
            for entity in ENTITIES:
                self.world.produce(entity, "good")
            for _ in range(3):
                self.send(1.0, None)
                for _, process in self.alive():
                    for flight in list(process.flights):
                        self._answer(process, flight, SUSPENDED)

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

    @rule(which=SEATS, refuses=st.booleans(), moves=st.booleans(), number=st.integers(0, len(ENTITIES) - 1))
    def write_letters(self, which: int, refuses: bool, moves: bool, number: int) -> None:
        """Of a damaged record, at least. Before they are acknowledged, or not, its partition may have gone."""
        if self.world.dead_letters and (process := self.seats[which].process) is not None:
            self.world.produce(ENTITIES[number], "malformed")
            self.turns(2)
            process.shelf.refuses = refuses
            if moves:
                process.shelf.meanwhile = lambda: self._move(self.world.entries[-1].partition, wait=True)
            process.write_letters()
            process.shelf.meanwhile = lambda: None

    @rule(which=SEATS, fates=st.lists(st.tuples(st.sampled_from(FATES), st.sampled_from([0, 1, 3, 99])), max_size=3))
    def commits(self, which: int, fates: list[tuple[Fate, int]]) -> None:
        if (process := self.seats[which].process) is not None:
            process.consumer.fates = fates

    # The group.

    @rule(
        kind=st.sampled_from(["crash", "stop", "cut", "mend", "lost", "poll", "slow", "clock", "memory"]),
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
            self.world.jumped = self.world.jumped or abs(self.world.skew) > LINK_LASTS / 2
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
        elif kind == "memory":
            self._run_out_of_memory(seat, process, BACK_AFTER[number], lands_after)
        elif kind in ("cut", "mend"):
            (self._cut if kind == "cut" else self._mend)(seat)
            self.wait(LEASE if kind == "cut" and overtake else 0.0, lands_after)
            self._take(seat)
        process.consumer.poll_fails, process.consumer.slow = kind == "poll", kind == "slow"
        if kind in ("crash", "lost") and overtake and lost:
            self._overtake(lost[0])

    def _run_out_of_memory(self, seat: Seat, process: Process, back_after: float, lands_after: float | None) -> None:
        """A task of the sending loop dies, and with it the process: nothing may stop in silence."""
        process.out_of_memory = True
        try:
            self.one_of_each(["good"] * len(ENTITIES))
        except MemoryError:
            self._crash(seat, back_after, lands_after)
        else:
            assert process.out_of_memory, "a task died in silence"
        process.out_of_memory = False

    def _stop(self, seat: Seat, process: Process, back_after: float, lands_after: float | None) -> None:
        """SIGTERM; what was left is read again by the next owner, who knows what may still land.

        The first requests time out, or all do.
        """
        outcome = None if lands_after is None else TIMED_OUT
        until = self.world.now + DRAIN_TIMEOUT
        process.draining, process.last_start = True, until - DEADLINE
        with process.queue.locked() as deliveries:
            deliveries.drain(self.world.now, process.last_start)
        while self.world.now < until and not process.deliveries.drained(self.world.now):
            self._turn(process, draining=True)
            self._take(seat)
            for flight in list(process.flights):
                self._answer(process, flight, outcome, LATEST_LANDING)
            outcome = outcome if lands_after == LATEST_LANDING else None
            process.write_letters()
            self.wait(1.0, LATEST_LANDING)
        process.commits.now(process.consumer, 5.0)
        with process.queue.locked() as deliveries:
            deliveries.release(list(deliveries.owned), "shutdown", self.world.now)
        self._check_accounts(process)
        process.queue.close()
        process.send()
        assert process.flights or process.sender._over.done(), "the sending loop does not end"
        self._leave(seat, back_after, self.world.now)

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
        """5, 9: the breakers close, and all is committed, whatever waits; only what is good ends mass rejection."""
        for entity in ENTITIES[:2]:
            self.world.produce(entity, "good")
        for _ in range(400):
            self.turns(1)
            for seat, process in self.alive():
                self._take(seat)
                process.write_letters()
            self._deliver_all()
            if self._settled(nature):
                return
            wakes = [process.deliveries.wake_at(self.world.now) or float("inf") for _, process in self.alive()]
            self.wait(min(max(min(wakes) - self.world.now, 0.01), 10.0), None)
        raise AssertionError(f"2, 5, 9: never at rest: {[process.deliveries for _, process in self.alive()]}")

    def _settled(self, nature: str) -> bool:
        """But for records that only wait until their link was sent by another one."""
        owners = {
            partition: owner for _, process in self.alive() for partition, owner in process.deliveries.owned.items()
        }
        waits = {partition: uncarried(owner) for partition, owner in owners.items()}
        left = [
            log.entries[min(waits.get(partition, ()), default=log.committed)]
            for partition, log in self.world.logs.items()
            if log.committed < len(log.entries)
        ]
        read = {
            partition: position
            for _, process in self.alive()
            for partition, position in process.consumer.positions.items()
        }
        held = [
            self.world.logs[partition].entries[offset] for partition, offsets in waits.items() for offset in offsets
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
