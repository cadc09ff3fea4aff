"""A shop's day beside an outbox, in virtual time: events come, senders take them, an API answers after a while."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from tests.core.support import P0, START, Box, box
from worker.core.event import Entity
from worker.core.lane import Delivery
from worker.core.outcome import Outcome
from worker.core.rules import Settled

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
    settled: list[Settled] = field(default_factory=list)
    waited: dict[Entity, list[float]] = field(default_factory=dict)

    def run(self, api: Api, arrivals: Iterable[Arrival], seconds: float) -> None:
        """So many seconds from the start of time, with nothing that happens skipped."""
        coming = list(arrivals)
        heapify(coming)
        flights: list[tuple[float, int, Delivery]] = []
        made, number, rounds = self.made, 0, 0
        while made.now < START + seconds:
            while coming and START + coming[0].at <= made.now:
                self._read(heappop(coming))
            while flights and flights[0][0] <= made.now:
                self._answer(heappop(flights)[2], api)
            while len(flights) < CONCURRENCY and (delivery := made.outbox.take(made.now)) is not None:
                number += 1
                heappush(flights, (made.now + LATENCY, number, delivery))
            nexts = [made.now + 1.0, *(flight[0] for flight in flights[:1]), *(START + one.at for one in coming[:1])]
            wake_at = made.outbox.wake_at(made.now) if len(flights) < CONCURRENCY else None
            made.until(min([*nexts, *([wake_at] if wake_at is not None else [])]))
            rounds += 1
            assert rounds < 1_000_000, f"time stands still at {made.now}: {made.outbox!r}"

    def _read(self, arrival: Arrival) -> None:
        made = self.made
        offset = made.positions[P0]
        made.positions[P0] += 1
        assert made.outbox.add(P0, offset, arrival.entity, None, size=1, occurred_at=0.0, now=made.now, age=arrival.age)

    def _answer(self, delivery: Delivery, api: Api) -> None:
        outcome = api(delivery.entity, self.made.now - START)
        self.requests.append((self.made.now - START, delivery.entity, outcome))
        settled = self.made.settle(delivery, outcome)
        self.settled.append(settled)
        if settled.first:
            self.waited.setdefault(delivery.entity, []).append(self.made.now - delivery.event.read_at)

    def rejected(self, kind: str) -> Counter[str]:
        """Events of the kind that were rejected, by reason."""
        counted = self.made.outbox.counts.rejected
        return Counter({reason: count for (of, reason), count in counted.items() if of == kind})
