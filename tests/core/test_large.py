"""Large events: few at once, in order, and in nobody's way."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.support import P0, P1, SERVER_ERROR, WINDOW, A, B, Box, C, D, box
from worker.core.event import Entity
from worker.core.large import AT_ONCE_AT_MOST, LARGE, at_once
from worker.core.outcome import DELIVERED
from worker.core.state import Attempt

BOUND = 4 * LARGE


def large(*entities: Entity, size: int = BOUND) -> Box:
    """A box in which these wait, due in this order."""
    made = box(partitions=(P0, P1), large_at_once=BOUND)
    for entity in entities:
        made.add(entity, size=size)
        made.pass_time(0.01)
    made.pass_time(WINDOW)
    return made


def taken(made: Box) -> list[Attempt]:
    """All that may start now."""
    found = []
    while (attempt := made.deliveries.take(made.now)) is not None:
        found.append(attempt)
    return found


def names(deliveries: Iterable[Attempt]) -> list[Entity]:
    return [attempt.entity for attempt in deliveries]


def test_an_ordinary_event_does_not_wait_behind_large_ones() -> None:
    made = large(A, B, C)
    made.add(D)
    made.pass_time(WINDOW)
    assert names(taken(made)) == [A, D]


def test_large_events_follow_one_another_in_the_order_in_which_they_were_due() -> None:
    made = large(A, B, C)
    order = []
    while deliveries := taken(made):
        (attempt,) = deliveries
        order.append(attempt.entity)
        made.settle(attempt)
    assert order == [A, B, C]


def test_as_many_are_sent_at_once_as_there_is_room_for() -> None:
    assert names(taken(large(A, B, C, D, size=LARGE))) == [A, B, C]  # each also counts what it costs beside its bytes


def test_a_very_large_event_is_not_passed_by_smaller_large_ones_for_ever() -> None:
    made = large(A, size=LARGE)
    first = made.take()
    made.add(B, size=10 * BOUND)
    made.pass_time(WINDOW)
    made.add(C, size=LARGE)
    made.pass_time(WINDOW)
    assert taken(made) == []
    made.settle(first)
    assert names(taken(made)) == [B]


@pytest.mark.parametrize("ended", ["answered", "failed", "released"])
def test_room_is_given_back_however_a_request_ends(ended: str) -> None:
    made = box(partitions=(P0, P1), large_at_once=BOUND)
    made.add(A, P0, size=BOUND)
    made.add(B, P1, size=BOUND)
    made.pass_time(WINDOW)
    (attempt,) = taken(made)
    if ended == "released":
        made.lose(P0)
    made.settle(attempt, SERVER_ERROR if ended == "failed" else DELIVERED)
    assert names(taken(made)) == [B]


def test_a_waiting_large_event_whose_partition_goes_is_forgotten() -> None:
    made = box(partitions=(P0, P1), large_at_once=BOUND)
    made.add(A, P0, size=BOUND)
    made.add(B, P1, size=BOUND)
    made.pass_time(WINDOW)
    (attempt,) = taken(made)
    made.lose(P1)
    made.settle(attempt)
    assert taken(made) == []
    assert made.deliveries.pending == 0


@settings(deadline=None)
@given(st.lists(st.integers(1, 3 * BOUND), max_size=20), st.randoms())
def test_what_is_in_flight_of_large_events_stays_within_its_bound(sizes: list[int], draw: Random) -> None:
    made = large()
    for number, size in enumerate(sizes):
        made.add(Entity("cart", str(number)), size=size)
    made.pass_time(WINDOW)
    flying: list[Attempt] = []
    settled = 0
    while deliveries := taken(made) + flying:
        flying = deliveries
        in_flight = [each.event.size for each in flying if each.event.size >= LARGE]
        assert sum(in_flight) <= BOUND or len(in_flight) == 1
        made.settle(flying.pop(draw.randrange(len(flying))))
        settled += 1
    assert settled == len(sizes)


@pytest.mark.parametrize("concurrency", [1, 2, 32, 128, 1024])
def test_half_of_the_senders_are_left_to_ordinary_events(concurrency: int) -> None:
    assert at_once(concurrency) // LARGE <= max(1, concurrency // 2)
    assert at_once(concurrency) <= AT_ONCE_AT_MOST
