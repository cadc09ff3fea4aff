"""Collapse: a newer event of an entity takes its waiting one's place, and its place in time."""

import pytest

from tests.core.support import (
    KEY_REFUSED,
    P1,
    REJECTED,
    SERVER_ERROR,
    START,
    TIMED_OUT,
    TOO_MANY,
    WINDOW,
    A,
    B,
    box,
    retry_after,
)
from worker.core.delivery_config import OVERHEAD
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome


def test_of_many_waiting_events_only_the_newest_is_sent() -> None:
    made = box()
    offsets = [made.add(A) for _ in range(10)]
    attempt = made.next()
    assert (attempt.event.offset, attempt.event.payload) == (offsets[-1], "cart:a@0:9")
    made.settle(attempt)
    assert made.deliveries.counts.collapsed == {"cart": 9}
    assert made.deliveries.counts.delivered == {"cart": 1}
    assert made.deliveries.wake_at(made.now) is None


def test_an_event_is_due_one_window_after_it_was_read() -> None:
    made = box()
    made.add(A)
    assert made.deliveries.wake_at(made.now) == START + WINDOW
    made.until(START + WINDOW - 0.001)
    assert made.nothing()
    made.until(START + WINDOW)
    assert made.take().entity == A


def test_the_newest_is_due_one_window_after_the_first_was_read() -> None:
    made = box()
    for _ in range(4):
        made.add(A)
        made.pass_time(0.1)
    newest = made.add(A)
    assert made.deliveries.wake_at(made.now) == START + WINDOW
    made.until(START + WINDOW - 0.001)
    assert made.nothing()
    made.until(START + WINDOW)
    assert made.take().event.offset == newest


def test_without_a_window_an_event_is_due_at_once() -> None:
    made = box(window=0.0)
    made.add(A)
    assert made.take().entity == A


def test_an_event_that_arrives_while_one_is_in_flight_opens_a_window_of_its_own() -> None:
    made = box()
    (first,) = made.start(A)
    read_at = made.now
    made.add(A)
    made.pass_time(0.3)
    made.add(A)
    made.settle(first)
    assert made.deliveries.wake_at(made.now) == read_at + WINDOW
    assert made.deliveries.counts.collapsed == {"cart": 1}


def test_what_is_in_flight_is_never_replaced() -> None:
    made = box()
    (first,) = made.start(A)
    made.add(A)
    assert made.deliveries.counts.collapsed.total() == 0
    made.settle(first)
    assert made.deliveries.counts.delivered == {"cart": 1}
    assert made.next().event.offset == 1


@pytest.mark.parametrize("failure", [SERVER_ERROR, TIMED_OUT, KEY_REFUSED, TOO_MANY, retry_after(20.0)])
def test_a_waiting_retry_is_replaced_and_keeps_its_time(failure: Outcome) -> None:
    made = box()
    (first,) = made.start(A)
    made.add(B)
    retry_in = made.settle(first, failure).retry_in
    assert retry_in is not None
    due = made.now + retry_in
    made.pass_time(0.1)
    newest = made.add(A)
    attempt = made.next()
    assert attempt.entity == B
    made.settle(attempt)
    attempt = made.next()
    assert (attempt.event.offset, made.now) == (newest, due)
    assert made.deliveries.counts.collapsed == {"cart": 1}


def test_an_event_that_arrived_in_flight_takes_the_failed_ones_place() -> None:
    made = box()
    (first,) = made.start(A)
    newest = made.add(A)
    settled = made.settle(first, retry_after(20.0))
    assert settled.retry_in == 20.0
    assert made.deliveries.counts.collapsed == {"cart": 1}
    assert made.committable == newest
    failed_at = made.now
    attempt = made.next()
    assert (attempt.event.offset, made.now) == (newest, failed_at + 20.0)
    made.settle(attempt)
    assert made.deliveries.pending == 0


def test_the_delays_go_on_growing_when_a_retry_is_replaced() -> None:
    """An entity that changes every second must not be tried every second."""
    made = box()
    made.add(A)
    delays = []
    for _ in range(6):
        attempt = made.next()
        settled = made.settle(attempt, SERVER_ERROR)
        assert settled.retry_in is not None
        delays.append(settled.retry_in)
        made.add(A)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


@pytest.mark.parametrize("outcome", [DELIVERED, REJECTED])
def test_collapse_is_final_even_if_the_successor_is_rejected(outcome: Outcome) -> None:
    made = box()
    made.add(A)
    made.add(A)
    made.settle(made.next(), outcome)
    assert (made.deliveries.pending, made.deliveries.unsettled, made.committable) == (0, 0, 2)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) is None


def test_a_replaced_event_is_settled_at_once_and_no_commit_passes_its_successor() -> None:
    made = box()
    made.add(A)
    assert made.committable == 0
    made.add(A)
    assert made.committable == 1
    made.add(B)
    made.add(A)
    assert made.committable == 2
    made.settle(made.next())
    assert made.committable == 2
    made.settle(made.next())
    assert made.committable == 4


def test_only_events_of_the_same_entity_replace_one_another() -> None:
    made = box()
    cart, order = Entity("cart", "1"), Entity("order", "1")
    made.add(cart)
    made.add(order)
    assert made.deliveries.counts.collapsed.total() == 0
    assert {made.next().entity, made.next().entity} == {cart, order}


def test_a_skipped_record_replaces_nothing() -> None:
    made = box()
    made.add(A)
    made.skip()
    attempt = made.next()
    assert attempt.event.offset == 0
    assert made.committable == 0
    made.settle(attempt)
    assert (made.committable, made.deliveries.counts.skipped) == (2, {("unknown", "tombstone"): 1})


def test_what_was_replaced_weighs_nothing_any_more() -> None:
    made = box()
    for _ in range(100):
        made.add(A)
    assert made.deliveries.pending_bytes == 100 + OVERHEAD
    made.settle(made.next())
    assert made.deliveries.pending_bytes == 0


def test_events_of_different_partitions_are_not_collapsed() -> None:
    made = box()
    made.own(P1)
    made.add(A)
    made.add(A, P1)
    assert made.deliveries.counts.collapsed.total() == 0
    assert (made.deliveries.unsettled, made.deliveries.pending) == (2, 1)
