"""A shop's day and a delivery queue, in virtual time: events come, attempts start, an API answers after a while."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from tests.core.support import P0, START, Box, box
from worker.core.delivery_config import SettleResult
from worker.core.event import Entity
from worker.core.outcome import Outcome
from worker.core.state import Attempt

CONCURRENCY = 32
LATENCY = 0.01

#: What the API answers to an entity's event, at a time since the start (s).
Api = Callable[[Entity, float], Outcome]


@dataclass(frozen=True, order=True)
class Arrival:
    """`at`: when it is read, since the start (s). `age`: how old its record is then (s)."""

    at: float
    entity: Entity
    age: float = 0.0


@dataclass
class Shop:
    """`waited`: for how long each delivered event had been read by then (s)."""

    made: Box = field(default_factory=box)
    requests: list[tuple[float, Entity, Outcome]] = field(default_factory=list)
    settled: list[SettleResult] = field(default_factory=list)
    waited: dict[Entity, list[float]] = field(default_factory=dict)

    def run(self, api: Api, arrivals: Iterable[Arrival], seconds: float) -> None:
        """So many seconds from the start of time, with nothing that happens skipped."""
        coming = list(arrivals)
        heapify(coming)
        flights: list[tuple[float, int, Attempt]] = []
        made, number, rounds = self.made, 0, 0
        while made.now < START + seconds:
            while coming and START + coming[0].at <= made.now:
                self._read(heappop(coming))
            while flights and flights[0][0] <= made.now:
                self._answer(heappop(flights)[2], api)
            while len(flights) < CONCURRENCY and (attempt := made.deliveries.take(made.now)) is not None:
                number += 1
                heappush(flights, (made.now + LATENCY, number, attempt))
            nexts = [made.now + 1.0, *(flight[0] for flight in flights[:1]), *(START + one.at for one in coming[:1])]
            wake_at = made.deliveries.wake_at(made.now) if len(flights) < CONCURRENCY else None
            made.until(min([*nexts, *([wake_at] if wake_at is not None else [])]))
            rounds += 1
            assert rounds < 1_000_000, f"time stands still at {made.now}: {made.deliveries!r}"

    def _read(self, arrival: Arrival) -> None:
        made = self.made
        offset = made.positions[P0]
        made.positions[P0] += 1
        assert made.deliveries.add(
            P0, offset, arrival.entity, None, size=1, occurred_at=0.0, now=made.now, age=arrival.age
        )

    def _answer(self, attempt: Attempt, api: Api) -> None:
        outcome = api(attempt.entity, self.made.now - START)
        self.requests.append((self.made.now - START, attempt.entity, outcome))
        settled = self.made.settle(attempt, outcome)
        self.settled.append(settled)
        if settled.first:
            self.waited.setdefault(attempt.entity, []).append(self.made.now - attempt.event.read_at)

    def rejected(self, kind: str) -> Counter[str]:
        """Events of the kind that were rejected, by reason."""
        counted = self.made.deliveries.counts.rejected
        return Counter({reason: count for (of, reason), count in counted.items() if of == kind})
