"""Bounds: pending entities and bytes, what counts as pending, and that one record always gets in."""

import pytest

from tests.core.support import P0, P1, REJECTED, SERVER_ERROR, A, B, awaiting, box
from worker.core.delivery_config import OVERHEAD
from worker.core.event import Entity
from worker.core.outcome import DELIVERED

EVENT = 100 + OVERHEAD


def test_pending_are_entities_and_not_events() -> None:
    made = box(partitions=(P0, P1), max_pending=3)
    for partition in (P0, P0, P1, P1):
        made.add(A, partition)
        made.add(B, partition)
    assert (made.deliveries.pending, made.deliveries.unsettled, made.deliveries.full()) == (2, 4, None)


def test_what_is_in_flight_or_waits_for_a_retry_is_pending() -> None:
    made = box(max_pending=1)
    (attempt,) = made.start(A)
    assert (made.deliveries.pending, made.deliveries.in_flight, made.deliveries.full()) == (1, 1, "max_pending")
    made.settle(attempt, SERVER_ERROR)
    assert (made.deliveries.pending, made.deliveries.in_flight, made.deliveries.full()) == (1, 0, "max_pending")
    made.settle(made.next(), DELIVERED)
    assert (made.deliveries.pending, made.deliveries.full()) == (0, None)


def test_what_awaits_its_dead_letter_is_pending() -> None:
    made = box(dead_letters=True, max_pending=2)
    made.send(A, REJECTED)
    assert made.deliveries.full() is None
    made.refuse()
    assert (made.deliveries.pending, made.deliveries.full()) == (2, "max_pending")
    for letter in made.deliveries.letters.take(made.now, 10):
        assert made.deliveries.pending
        made.deliveries.letter_written(letter)
    assert (made.deliveries.pending, made.deliveries.pending_bytes, made.deliveries.full()) == (0, 0, None)


def test_what_awaits_its_confirmation_is_pending() -> None:
    made = awaiting(max_pending=1)
    assert (made.deliveries.pending, made.deliveries.full()) == (1, "max_pending")


@pytest.mark.parametrize("bound", [1, 2, 7])
def test_a_bound_is_reached_at_its_number_and_not_before(bound: int) -> None:
    made = box(max_pending=bound)
    for number in range(bound):
        assert made.deliveries.full() is None
        made.add(Entity("cart", str(number)))
    assert made.deliveries.full() == "max_pending"


def test_a_bound_may_be_overshot_and_nothing_is_refused() -> None:
    made = box(max_pending=1)
    for number in range(50):
        made.add(Entity("cart", str(number)))
    assert (made.deliveries.pending, made.deliveries.unsettled) == (50, 50)
    for _ in range(50):
        assert made.deliveries.full() == "max_pending"
        made.settle(made.next())
    assert made.deliveries.full() is None


@pytest.mark.parametrize(("bytes_", "expected"), [(2 * EVENT, "max_pending_bytes"), (2 * EVENT + 1, None)])
def test_bytes_are_bounded_too_with_what_an_entity_costs_beside_its_record(bytes_: int, expected: str | None) -> None:
    made = box(max_pending_bytes=bytes_)
    made.add(A)
    made.add(B)
    assert made.deliveries.full() == expected


@pytest.mark.parametrize("config", [{"max_pending": 0}, {"max_pending": 1}, {"max_pending_bytes": 1}])
def test_one_record_is_always_admitted_when_nothing_is_pending(config: dict[str, int]) -> None:
    made = box(**config)  # type: ignore[arg-type]
    for _ in range(3):
        assert made.deliveries.full() is None
        made.add(A)
        assert made.deliveries.full() is not None
        made.settle(made.next())


def test_bytes_return_to_zero_whatever_becomes_of_the_events() -> None:
    made = box(dead_letters=True, max_attempts=1, partitions=(P0, P1))
    made.send(A)
    made.send(B, REJECTED)
    made.add(A, P1)
    made.add(A, P1)
    made.refuse()
    made.add(B)
    attempt = made.next()
    made.add(attempt.entity)
    made.settle(attempt, SERVER_ERROR)
    made.lose(P1)
    while made.deliveries.unsettled > len(made.deliveries.letters):
        made.settle(made.next())
    for letter in made.deliveries.letters.take(made.now, 10):
        made.deliveries.letter_written(letter)
    assert (made.deliveries.pending_bytes, made.deliveries.pending, made.deliveries.unsettled) == (0, 0, 0)


def test_what_is_released_in_flight_frees_its_bytes_once() -> None:
    made = box()
    (attempt,) = made.start(A)
    made.lose(P0)
    assert (made.deliveries.pending_bytes, made.deliveries.pending) == (0, 1)
    made.settle(attempt)
    assert (made.deliveries.pending_bytes, made.deliveries.pending) == (0, 0)
