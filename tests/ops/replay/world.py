"""A topic, an API, a live worker and the network between them, at virtual time: everything that a replay meets.

Events are numbered in the order of writing, and their numbers are their offsets, whatever their partition.

Whatever the replay asks, time passes before the answer: events come, the worker sends, requests land and are answered,
or are given up and land later.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from worker.core.delivery_config import CONFIRM_AFTER, DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity, Event, Skipped
from worker.core.outcome import DELIVERED, Outcome, Result, timed_out
from worker.core.state import Attempt, Partition, RecordPosition
from worker.ops.replay.dispatch import Answer
from worker.ops.replay.range_scan import Refusal, State
from worker.ops.replay.reading import Found
from worker.ops.replay.synthetic_offsets import SyntheticOffsets

ENTITIES = [Entity("cart", letter) for letter in "abc"]
P0, P1 = Partition("carts", 0), Partition("carts", 1)
FAILED = Outcome(Result.RETRYABLE, "http_5xx", "HTTP 500")


@dataclass
class Flight:
    attempt: Attempt
    landed: bool = False


@dataclass
class World:
    draw: Random
    to_come: int
    faults: int
    now: float = 1000.0
    log: list[Entity] = field(default_factory=list)
    emptied: set[int] = field(default_factory=set)
    held: dict[Entity, int] = field(default_factory=dict)
    sent_by_worker: int = 0
    flights: list[Flight] = field(default_factory=list)
    late: list[tuple[float, Entity, int]] = field(default_factory=list)
    answered: list[Answer] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    #: What the worker did not deliver; and since when which entities' records go to the second partition.
    rejected: set[int] = field(default_factory=set)
    moved: dict[Entity, int] = field(default_factory=dict)
    #: Nothing older may be sent of an entity.
    least: dict[Entity, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deliveries = DeliveryQueue(DeliveryConfig(lambda n: min(2.0**n, 30.0), window=0.0, dead_letters=True))
        self.numbers = SyntheticOffsets(self.deliveries, self.now)
        self.position = 0

    def state(self, offset: int) -> State:
        partition = P1 if self.moved and self.moved.get(self.log[offset], offset + 1) <= offset else P0
        return State(RecordPosition(*partition, offset), offset, b"", emptied=offset in self.emptied)

    def decoded(self, offset: int) -> Event | Skipped:
        """What the record at the offset means: offsets of `emptied` are of carts that were emptied."""
        entity = self.log[offset]
        return Skipped("empty_products", entity.kind, entity) if offset in self.emptied else Event(entity)

    def happen(self) -> None:
        """A few things, in any order."""
        often = [self.take, self.land, self.answer]
        steps: list[Callable[[], None]] = [self.append, self.work, self.wait, *often, *often]
        for _ in range(self.draw.randint(1, 6)):
            self.draw.choice(steps)()

    def append(self) -> None:
        if self.to_come:
            self.to_come -= 1
            if self.draw.random() < 0.2:
                self.emptied.add(len(self.log))
            self.log.append(self.draw.choice(ENTITIES))

    def work(self) -> None:
        """The worker's own request lands."""
        if self.sent_by_worker < len(self.log):
            if self.sent_by_worker not in self.emptied | self.rejected:
                self.held[self.log[self.sent_by_worker]] = self.sent_by_worker
            self.sent_by_worker += 1

    def take(self) -> None:
        attempt = self.deliveries.take(self.now)
        if attempt is not None:
            self.flights.append(Flight(attempt))

    def land(self) -> None:
        waiting = [flight for flight in self.flights if not flight.landed]
        if waiting:
            flight = self.draw.choice(waiting)
            flight.landed = True
            self.hold(flight.attempt)

    def hold(self, attempt: Attempt) -> None:
        offset = attempt.event.payload.at.offset
        assert offset not in self.emptied, "an emptied cart is not sent"
        assert offset >= self.least.get(attempt.entity, 0), "something newer was known of"
        self.held[attempt.entity] = offset

    def answer(self) -> None:
        if not self.flights:
            return
        flight = self.flights.pop(self.draw.randrange(len(self.flights)))
        attempt, outcome = flight.attempt, DELIVERED
        if self.faults and self.draw.random() < 0.4:
            self.faults -= 1
            outcome = self.draw.choice([timed_out(), FAILED])
        if outcome.ambiguous and not flight.landed and self.draw.random() < 0.8:
            until = self.now + self.draw.uniform(0, CONFIRM_AFTER - 0.01)
            self.late.append((until, attempt.entity, attempt.event.payload.at.offset))
        elif outcome is DELIVERED and not flight.landed:
            self.hold(attempt)
        self.answered.append(Answer(attempt.entity, outcome, self.now))
        self.deliveries.settle(attempt, outcome, self.now)

    def wait(self) -> None:
        self.now += self.draw.choice([0.01, 0.1, 0.5])
        for item in sorted(item for item in self.late if item[0] <= self.now):
            self.late.remove(item)
            self.held[item[1]] = item[2]
        self.deliveries.tick(self.now)

    def end(self) -> None:
        """The worker comes to the end of the topic, and whatever was still under way has landed."""
        for _, entity, offset in sorted(self.late):
            self.held[entity] = offset
        while self.sent_by_worker < len(self.log):
            self.work()

    def newest(self) -> dict[Entity, int]:
        return {entity: offset for offset, entity in enumerate(self.log)}

    # As `Dispatch`.

    def clock(self) -> float:
        return self.now

    def send(self, states: Iterable[tuple[Entity, State]]) -> None:
        self.numbers.send(self.deliveries, states, self.now, self.now)
        self.happen()

    def answers(self) -> list[Answer]:
        answered, self.answered = self.answered, []
        self.happen()
        return answered

    def given_up(self) -> list[tuple[Entity, Refusal]]:
        self.happen()
        return self.numbers.given_up(self.deliveries, self.now)

    def idle(self, entities: Iterable[Entity]) -> list[Entity]:
        self.happen()
        return self.numbers.idle(self.deliveries, entities)

    def paused(self) -> str | None:
        return None if self.deliveries.breakers.closed else str(self.deliveries.breakers.paused()[0][1])

    # As `Reading`.

    def stopped(self) -> bool:
        return False

    def ends(self) -> dict[Partition, int]:
        self.happen()
        ends = {P0: len(self.log)}
        self.happen()
        return ends

    def poll(self) -> Iterator[Found]:
        self.happen()
        for offset in range(self.position, min(len(self.log), self.position + self.draw.randint(0, 3))):
            self.position = offset + 1
            yield self.state(offset), self.decoded(offset)

    def left(self, ends: Mapping[Partition, int]) -> int:
        return max(0, ends[P0] - self.position)

    # As `Progress`.

    def sending(self, *_: object) -> None:
        self.happen()


@dataclass
class Again:
    """The world's topic from its start on, as `Records`."""

    world: World
    position: int = 0

    def poll(self) -> Iterator[Found]:
        self.world.happen()
        for offset in range(self.position, min(len(self.world.log), self.position + self.world.draw.randint(0, 3))):
            self.position = offset + 1
            if offset not in self.world.deleted:
                yield self.world.state(offset), self.world.decoded(offset)

    def ends(self) -> dict[Partition, int]:
        return self.world.ends()

    def left(self, ends: Mapping[Partition, int]) -> int:
        return max(0, ends[P0] - self.position)
