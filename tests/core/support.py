"""An delivery queue with a clock and a log of its own, so that a test says only what it is about."""

from dataclasses import dataclass, field

from worker.core.circuit_breaker import TripReason
from worker.core.delivery_config import DeliveryConfig, SettleResult
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity, Skipped
from worker.core.large import at_once
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.state import Attempt, Partition

START = 1000.0
WINDOW = 0.5
#: So far away that nothing is left over by then.
LONG = 100_000.0

P0 = Partition("carts", 0)
P1 = Partition("carts", 1)
A, B, C, D, E = (Entity("cart", letter) for letter in "abcde")

SERVER_ERROR = Outcome(Result.RETRYABLE, "http_5xx", "HTTP 503")
TIMED_OUT = Outcome(Result.RETRYABLE, "timeout", "no answer", ambiguous=True)
NOT_CONNECTED = Outcome(Result.RETRYABLE, "connection", "refused")
TOO_MANY = Outcome(Result.RETRYABLE, "http_429", "HTTP 429")
KEY_REFUSED = Outcome(Result.KEY_REFUSED, "invalid_api_key", "Invalid API key")
REJECTED = Outcome(Result.REJECTED, "unknown_visit_id", "Unknown visit_id")
TOMBSTONE = Skipped("tombstone")
ANSWERS = (DELIVERED, REJECTED)


def opened(settled: SettleResult) -> list[TripReason]:
    return [change.reason for change in settled.changes if change.opened]


def closed(settled: SettleResult) -> list[TripReason]:
    return [change.reason for change in settled.changes if not change.opened]


def no_jitter(failures: int) -> float:
    return min(2.0 ** min(failures, 10), 30.0)


def retry_after(seconds: float, reason: str = "http_5xx") -> Outcome:
    return Outcome(Result.RETRYABLE, reason, "wait", retry_after=seconds)


@dataclass
class Box:
    """Time moves only by `pass_time` and `until`; payloads are the offsets' own numbers, as `cart:a@0:3`."""

    deliveries: DeliveryQueue
    now: float = START
    positions: dict[Partition, int] = field(default_factory=dict)

    def add(
        self,
        entity: Entity,
        partition: Partition = P0,
        size: int = 100,
        *,
        call_id: str | None = None,
        agent: str | None = None,
        age: float = 0.0,
    ) -> int:
        """`age`: seconds since the record was written. Returns its offset."""
        offset = self.positions.setdefault(partition, 0)
        self.positions[partition] += 1
        payload = f"{entity}@{partition.partition}:{offset}"
        assert self.deliveries.add(
            partition,
            offset,
            entity,
            payload,
            size=size,
            occurred_at=0.0,
            now=self.now,
            age=age,
            call_id=call_id,
            agent=agent,
        )
        return offset

    def skip(self, partition: Partition = P0, skipped: Skipped = TOMBSTONE) -> int:
        offset = self.positions.setdefault(partition, 0)
        self.positions[partition] += 1
        assert self.deliveries.skip(partition, offset, skipped, self.now)
        return offset

    def empty(self, entity: Entity, partition: Partition = P0) -> int:
        """The entity's cart was emptied."""
        return self.skip(partition, Skipped("empty_products", entity.kind, entity))

    def refuse(self, entity: Entity | None = None, partition: Partition = P0) -> int:
        offset = self.positions.setdefault(partition, 0)
        self.positions[partition] += 1
        assert self.deliveries.refuse(
            partition,
            offset,
            None,
            size=100,
            kind=entity.kind if entity else "unknown",
            entity_id=entity.id if entity else None,
            reason="invalid_event",
            message="expected an object",
            now=self.now,
        )
        return offset

    def own(self, partition: Partition, *, end: int | None = 0) -> None:
        """Assigns the partition; with `end` 0 it has nothing to catch up with, with None nobody knows yet."""
        assert self.deliveries.assign([partition], self.now) == [partition]
        self.deliveries.advance(partition, self.positions.setdefault(partition, 0), self.now)
        self.deliveries.committed({partition: self.positions[partition]}, self.now)
        if end is not None:
            self.deliveries.set_end(partition, end, self.now)

    def lose(self, partition: Partition, *, committed: int = 0) -> int:
        """Releases the partition; whoever owns it next reads on from `committed`."""
        released = self.deliveries.release([partition], "revoked", self.now)
        self.positions[partition] = committed
        return released

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.deliveries.tick(self.now)

    def until(self, time: float) -> None:
        assert time >= self.now
        self.now = time
        self.deliveries.tick(self.now)

    def take(self) -> Attempt:
        attempt = self.deliveries.take(self.now)
        assert attempt is not None, f"nothing to take at {self.now}"
        return attempt

    def nothing(self) -> bool:
        return self.deliveries.take(self.now) is None

    def settle(self, attempt: Attempt, outcome: Outcome = DELIVERED) -> SettleResult:
        return self.deliveries.settle(attempt, outcome, self.now)

    def next(self) -> Attempt:
        """Waits for the next request, however long."""
        for _ in range(1000):
            attempt = self.deliveries.take(self.now)
            if attempt is not None:
                return attempt
            wake_at = self.deliveries.wake_at(self.now)
            assert wake_at is not None, "nothing will ever be due"
            assert wake_at < self.now + LONG, "nothing will ever be due"
            self.until(max(wake_at, self.now))
        raise AssertionError("it wakes and wakes, and has nothing")

    def send(self, entity: Entity, outcome: Outcome = DELIVERED, partition: Partition = P0) -> SettleResult:
        """Adds an event, waits for its turn and settles it."""
        self.add(entity, partition)
        attempt = self.next()
        assert attempt.entity == entity
        return self.settle(attempt, outcome)

    def start(self, *entities: Entity) -> list[Attempt]:
        """One request in flight for each."""
        for entity in entities:
            self.add(entity)
        self.pass_time(WINDOW)
        taken = {attempt.entity: attempt for attempt in [self.take() for _ in entities]}
        return [taken[entity] for entity in entities]

    def trip(self, outcome: Outcome = SERVER_ERROR) -> None:
        """Opens the carts' breaker by five failures of A, B and C, all of which then wait."""
        a, b, c = self.start(A, B, C)
        for attempt in (a, b, c):
            self.settle(attempt, outcome)
        while self.tripped is None:
            self.settle(self.next(), outcome)

    @property
    def tripped(self) -> TripReason | None:
        """Why no cart is sent."""
        return self.deliveries.breakers.key.reason or self.deliveries.breakers.of["cart"].reason

    @property
    def committable(self) -> int | None:
        return self.deliveries.owned[P0].committable()


def box(
    *,
    dead_letters: bool = False,
    max_attempts: int = 50,
    window: float = WINDOW,
    call_window: float = 0.1,
    max_pending: int = 50_000,
    max_pending_bytes: int = 64 * 1024 * 1024,
    large_at_once: int = at_once(32),
    partitions: tuple[Partition, ...] = (P0,),
) -> Box:
    config = DeliveryConfig(
        no_jitter,
        window=window,
        call_window=call_window,
        max_pending=max_pending,
        max_pending_bytes=max_pending_bytes,
        large_at_once=large_at_once,
        max_attempts=max_attempts,
        dead_letters=dead_letters,
    )
    made = Box(DeliveryQueue(config))
    for partition in partitions:
        made.own(partition)
    return made


def overtaken(ambiguous: Outcome = TIMED_OUT, **config: int) -> tuple[Box, Attempt]:
    """The state at offset 0 is ambiguous; that at offset 1 is in flight."""
    made = box(**config)  # type: ignore[arg-type]
    (first,) = made.start(A)
    made.add(A)
    made.settle(first, ambiguous)
    return made, made.next()


def awaiting(ambiguous: Outcome = TIMED_OUT, **config: int) -> Box:
    """The newer state was delivered just now, and awaits its confirmation."""
    made, second = overtaken(ambiguous, **config)
    made.settle(second)
    return made
