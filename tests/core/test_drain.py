"""Drain: waiting events go without their window, nothing starts too late, an open breaker is not waited for."""

import pytest

from tests.core.support import (
    LONG,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    START,
    TIMED_OUT,
    A,
    B,
    Box,
    C,
    D,
    box,
    retry_after,
)
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome

BUDGET = 20.0


def drain(made: Box, budget: float = BUDGET) -> float:
    last_start = made.now + budget
    made.deliveries.drain(made.now, last_start)
    return last_start


def drained(made: Box) -> bool:
    return made.deliveries.drained(made.now)


def test_waiting_events_are_sent_without_their_window() -> None:
    made = box(window=10.0)
    made.add(A)
    made.add(B)
    assert made.nothing()
    drain(made)
    assert {made.take().entity, made.take().entity} == {A, B}


def test_an_event_behind_one_in_flight_is_sent_without_its_window_too() -> None:
    made = box(window=10.0)
    made.add(A)
    first = made.next()
    made.add(A)
    drain(made)
    made.settle(first)
    assert made.take().event.offset == 1


def test_a_backlog_is_not_waited_for() -> None:
    made = box(partitions=())
    made.own(P0, end=1_000_000)
    made.own(P1, end=None)
    made.add(A, P0)
    made.add(B, P1)
    drain(made)
    assert {made.take().entity, made.take().entity} == {A, B}


def test_a_retry_keeps_its_time() -> None:
    made = box()
    (attempt,) = made.start(A)
    made.settle(attempt, SERVER_ERROR)
    drain(made)
    assert made.nothing()
    made.pass_time(1.0)
    assert made.take().entity == A


def test_a_confirmation_keeps_its_time() -> None:
    made = box()
    (first,) = made.start(A)
    made.add(A)
    made.settle(first, TIMED_OUT)
    made.settle(made.next())
    drain(made)
    made.pass_time(9.9)
    assert made.nothing()
    assert not drained(made)
    made.pass_time(0.1)
    made.settle(made.take())
    assert drained(made)


def test_nothing_starts_after_the_last_start() -> None:
    made = box()
    made.add(A)
    made.add(B)
    last_start = drain(made)
    made.until(last_start)
    made.settle(made.take())
    made.until(last_start + 0.001)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) is None
    assert drained(made)
    assert made.deliveries.unsettled == 1


def test_what_is_in_flight_is_awaited_also_after_the_last_start() -> None:
    made = box()
    (attempt,) = made.start(A)
    last_start = drain(made)
    made.until(last_start + 3.0)
    assert not drained(made)
    made.settle(attempt, DELIVERED)
    assert drained(made)
    assert made.deliveries.unsettled == 0


def test_an_idle_outbox_is_drained_at_once() -> None:
    made = box()
    assert not drained(made)
    drain(made)
    assert drained(made)


def test_it_is_not_drained_while_something_may_still_start() -> None:
    made = box()
    made.add(A)
    drain(made)
    assert not drained(made)
    attempt = made.take()
    assert not drained(made)
    made.settle(attempt, SERVER_ERROR)
    assert not drained(made)
    made.settle(made.next())
    assert drained(made)


def test_what_would_start_too_late_is_not_waited_for() -> None:
    made = box()
    (attempt,) = made.start(A)
    drain(made)
    made.settle(attempt, retry_after(BUDGET + 1.0))
    assert drained(made)
    assert made.deliveries.unsettled == 1


def test_a_pause_that_ends_too_late_is_not_waited_for_and_one_that_ends_in_time_is() -> None:
    made = box()
    (attempt,) = made.start(A)
    made.add(B)
    drain(made)
    made.settle(attempt, retry_after(5.0, "http_429"))
    assert not drained(made)
    made.pass_time(5.0)
    made.settle(made.take(), retry_after(60.0, "http_429"))
    assert drained(made)


def test_of_a_kind_whose_breaker_is_open_only_what_is_in_flight_is_awaited() -> None:
    made = box()
    (late,) = made.start(D)
    made.trip()
    drain(made)
    assert not drained(made)
    assert made.deliveries.wake_at(made.now) is None
    made.pass_time(5.0)
    assert made.nothing()
    made.settle(late, TIMED_OUT)
    assert drained(made)
    assert made.deliveries.unsettled == 4


@pytest.mark.parametrize("answer", [DELIVERED, REJECTED])
def test_a_late_answer_closes_the_breaker_and_the_rest_is_sent(answer: Outcome) -> None:
    made = box()
    (late,) = made.start(D)
    made.trip()
    drain(made, 100.0)
    made.settle(late, answer)
    assert not drained(made)
    for _ in range(3):
        made.settle(made.next())
    assert drained(made)
    assert made.deliveries.unsettled == 0


def test_a_probe_in_flight_is_awaited_and_no_other_follows() -> None:
    made = box()
    made.trip()
    probe = made.next()
    assert probe.probe
    drain(made)
    assert not drained(made)
    made.settle(probe, SERVER_ERROR)
    assert drained(made)
    made.pass_time(10.0)
    assert made.nothing()


def test_a_breaker_that_opens_during_the_drain_ends_it() -> None:
    made = box()
    for entity in (A, B, C):
        made.add(entity)
    drain(made)
    made.trip()
    assert drained(made)


def test_letters_are_awaited_unless_they_fail() -> None:
    made = box(dead_letters=True)
    made.refuse()
    made.refuse()
    drain(made)
    assert not drained(made)
    first, second = made.deliveries.letters.take(made.now, 10)
    assert not drained(made)
    made.deliveries.letter_written(first)
    made.deliveries.letters.failed([second], made.now)
    assert drained(made)
    made.pass_time(1.0)
    (second,) = made.deliveries.letters.take(made.now, 10)
    made.deliveries.letter_written(second)
    assert drained(made)
    assert made.committable == 2


def test_with_a_rate_of_zero_nothing_is_waited_for() -> None:
    made = box()
    made.deliveries.rate.set(0.0, made.now)
    made.add(A)
    drain(made)
    assert made.nothing()
    assert drained(made)


def test_a_partition_that_is_about_to_go_is_not_waited_for() -> None:
    made = box()
    made.add(A)
    made.deliveries.suspend([P0])
    drain(made)
    assert made.nothing()
    assert drained(made)


def test_what_is_left_is_released_and_said() -> None:
    made = box()
    made.add(A)
    made.add(B)
    drain(made, 0.0)
    made.until(START + LONG)
    assert made.deliveries.release([P0], "shutdown", made.now) == 2
    assert made.deliveries.counts.released == {"shutdown": 2}
    assert (made.deliveries.pending, made.deliveries.pending_bytes) == (0, 0)


def test_what_is_left_uncommitted_is_what_was_read_whether_it_was_settled_or_not() -> None:
    """A last commit that failed leaves all of it to the next owner."""
    made = box()
    for entity in (A, B):
        made.send(entity)
    made.add(C)
    assert made.deliveries.uncommitted() == 3
    made.deliveries.committed({P0: 2}, made.now)
    assert made.deliveries.uncommitted() == 1


def test_a_kind_whose_breaker_is_open_does_not_keep_the_other_from_being_sent() -> None:
    made = box()
    made.trip()
    made.add(Entity("order", "a"))
    made.deliveries.drain(made.now, made.now + 20.0)
    assert not made.deliveries.drained(made.now)
    made.settle(made.take())
    assert made.deliveries.drained(made.now)
    assert made.deliveries.unsettled == 3
