"""What becomes of the group of the engine's machine: time passes, members go and come, partitions move."""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.core.world import LATEST_LANDING, SESSION_TIMEOUT, TIMED_OUT
from tests.engine.work import Work
from tests.engine.world import PARTITIONS, Process, Seat
from worker.core.state import Partition

LANDINGS = st.sampled_from([None, 0.05, 1.5, LATEST_LANDING])


class Group(Work):
    rate: float
    #: When what a member left is handed out.
    orphans_at: float
    #: Under an eager assignor: everybody has given up everything.
    rebalancing: bool

    def _process(self, seat: Seat) -> Process:
        return Process(self.world, seat, self.rules_of_box, self.rate, partial(self._check, seat))

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
        seat.process.loop.close()
        seat.process, seat.back_at = None, self.world.now + back_after
        if back_after >= SESSION_TIMEOUT or seat.cut or self.rebalancing:
            self._orphan(seat, orphans_at)
        self.wait(0.0, None)

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
            ambiguous = rebalancer.ambiguous(going)
            rebalancer.committed(offsets, ambiguous, member.commit_last(offsets, ambiguous))
        if not self.world.eager:
            rebalancer.release(going, "revoked")
            for partition in going:
                del member.positions[partition]

    def _tell(self, seat: Seat) -> None:
        if seat.process is not None and seat.able:
            seat.process.consumer.told = [p for p, owner in self.world.owners.items() if owner is seat]
