"""Cost: adding does not grow with what waits, and what is settled leaves nothing behind."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar
from weakref import WeakSet

import pytest

from tests.core.support import P0, SERVER_ERROR, TIMED_OUT, A, Box, box
from worker.core.event import Entity
from worker.core.outcome import DELIVERED
from worker.core.state import EntityQueue, QueuedEvent, Slot


class Payload:
    """Stands for a record: it can be seen whether anybody still holds it."""

    alive: ClassVar[WeakSet["Payload"]] = WeakSet()

    def __init__(self) -> None:
        self.alive.add(self)


def add(made: Box, entity: Entity) -> None:
    offset = made.positions[P0]
    made.positions[P0] += 1
    assert made.deliveries.add(P0, offset, entity, Payload(), size=100, occurred_at=0.0, now=made.now)


def entity(number: int) -> Entity:
    return Entity("cart", str(number))


def lines(work: Callable[[], object]) -> int:
    """How many lines of Python ran: a measure of work that no other load on the machine disturbs."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def waiting(entities: int) -> Box:
    made = box()
    for number in range(entities):
        made.add(entity(number))
    return made


OPERATIONS: dict[str, Callable[[Box], object]] = {
    "a new entity": lambda made: made.add(A),
    "a replacement": lambda made: made.add(entity(0)),
    "a skipped record": lambda made: made.skip(),
    "a rejected record": lambda made: made.refuse(),
    "wake_at": lambda made: made.deliveries.wake_at(made.now),
    "full": lambda made: made.deliveries.full(),
    "committable": lambda made: made.deliveries.committable(),
    "oldest_read_at": lambda made: made.deliveries.oldest_read_at(),
    "tick": lambda made: made.deliveries.tick(made.now),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_it_takes_as_long_with_twenty_thousand_entities_as_with_ten(operation: Callable[[Box], object]) -> None:
    few, many = waiting(10), waiting(20_000)
    assert lines(lambda: operation(many)) == lines(lambda: operation(few)) > 0


def test_taking_and_settling_take_as_long_with_twenty_thousand_entities_as_with_ten() -> None:
    few, many = waiting(10), waiting(20_000)
    for made in (few, many):
        made.pass_time(0.5)
    for outcome in (DELIVERED, SERVER_ERROR):
        assert lines(lambda: many.settle(many.take(), outcome)) == lines(lambda: few.settle(few.take(), outcome)) > 0  # noqa: B023


@pytest.mark.parametrize("stuck", [SERVER_ERROR, None], ids=["retried", "in flight"])
def test_behind_one_stuck_entity_a_hundred_thousand_events_of_ten_others_leave_nothing_behind(stuck: Any) -> None:
    made = box()
    add(made, A)
    attempt = made.next()
    if stuck is not None:
        made.settle(attempt, stuck)
        made.deliveries.rate.set(0.0, made.now)
    Payload.alive.clear()
    baseline = _objects()
    for number in range(100_000):
        add(made, entity(number % 10))
    assert made.committable == 0
    assert made.deliveries.unsettled == 11
    gc.collect()
    assert len(Payload.alive) == 10
    assert _objects() <= baseline + 3 * 10 + 2
    assert sys.getsizeof(made.deliveries.owned[P0].unsettled) < 10_000


def test_delivered_events_behind_a_stuck_one_leave_nothing_behind_either() -> None:
    made = box(window=0.0)
    add(made, A)
    made.next()
    Payload.alive.clear()
    for number in range(20_000):
        add(made, entity(number))
        made.settle(made.take())
    gc.collect()
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending) == (0, 1, 1)
    assert len(Payload.alive) == 0
    assert _objects() < 4_000
    assert sys.getsizeof(made.deliveries.owned[P0].unsettled) < 10_000


def test_ambiguous_requests_are_remembered_for_ten_seconds_only() -> None:
    made = box(window=0.0)
    for number in range(1000):
        made.add(entity(number))
        made.settle(made.take(), TIMED_OUT)
        if made.tripped is not None:
            made.pass_time(60.0)
        made.settle(made.next(), DELIVERED)
    assert made.deliveries.pending == 0
    made.pass_time(10.0)
    assert made.deliveries._queues._late == {}


def test_an_entity_that_is_never_quiet_and_often_times_out_is_remembered_in_two_requests() -> None:
    made = box(window=0.0)
    made.add(A)
    for _ in range(200):
        attempt = made.next()
        made.add(A)
        made.settle(attempt, TIMED_OUT)
        made.add(A)
        attempt = made.next()
        made.add(A)
        made.settle(attempt)
        assert len(made.deliveries._queues[A].ambiguous_records) <= 2
    made.settle(made.next())
    assert made.next().confirming


def test_a_lost_partition_leaves_nothing_behind() -> None:
    made = box()
    for number in range(1000):
        add(made, entity(number))
    made.lose(P0)
    made.own(P0)
    for number in range(10):
        add(made, entity(number))
    made.pass_time(0.5)
    for _ in range(10):
        made.settle(made.take())
    gc.collect()
    assert len(Payload.alive) == 0
    assert made.deliveries.pending == made.deliveries.pending_bytes == 0


def _objects() -> int:
    gc.collect()
    return sum(isinstance(each, QueuedEvent | Slot | EntityQueue) for each in gc.get_objects())
