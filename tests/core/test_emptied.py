"""Emptied carts: the API can't express them, so an older state of the cart that was not sent yet is not sent."""

import pytest

from tests.core.support import (
    KEY_REFUSED,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    TIMED_OUT,
    A,
    B,
    awaiting,
    box,
    overtaken,
)
from worker.core.outcome import DELIVERED, Outcome

EMPTIED = {("cart", "empty_products"): 1}


def test_an_emptied_cart_drops_its_state_that_waits_for_its_first_try() -> None:
    made = box()
    made.add(A)
    made.empty(A)
    assert (made.deliveries.pending, made.deliveries.pending_bytes, made.committable) == (0, 0, 2)
    assert (made.deliveries.counts.collapsed, made.deliveries.counts.skipped) == ({"cart": 1}, EMPTIED)
    assert made.deliveries.wake_at(made.now) is None


@pytest.mark.parametrize("failure", [SERVER_ERROR, TIMED_OUT, KEY_REFUSED])
def test_an_emptied_cart_drops_its_state_that_waits_for_a_retry(failure: Outcome) -> None:
    made = box()
    (first,) = made.start(A)
    made.add(B)
    made.settle(first, failure)
    made.empty(A)
    assert made.deliveries.counts.collapsed == {"cart": 1}
    assert made.next().entity == B
    assert made.deliveries.pending == 1


@pytest.mark.parametrize("outcome", [DELIVERED, REJECTED])
def test_a_request_in_flight_is_completed(outcome: Outcome) -> None:
    made = box()
    (first,) = made.start(A)
    made.empty(A)
    assert made.committable == 0
    made.settle(first, outcome)
    assert (made.deliveries.pending, made.committable, made.deliveries.counts.collapsed.total()) == (0, 2, 0)


@pytest.mark.parametrize("failure", [SERVER_ERROR, TIMED_OUT, KEY_REFUSED])
def test_a_request_in_flight_that_fails_is_not_retried_and_counts_as_collapsed(failure: Outcome) -> None:
    made = box(max_attempts=1, dead_letters=True)
    (first,) = made.start(A)
    made.empty(A)
    settled = made.settle(first, failure)
    assert (settled.collapsed, settled.retry_in, settled.exhausted) == (True, None, False)
    assert (made.deliveries.pending, made.committable, made.deliveries.counts.collapsed) == (0, 2, {"cart": 1})
    assert len(made.deliveries.letters) == 0


def test_a_cart_that_is_filled_again_while_its_older_request_is_in_flight_is_sent() -> None:
    made = box()
    (first,) = made.start(A)
    made.add(A)
    made.empty(A)
    newest = made.add(A)
    settled = made.settle(first, SERVER_ERROR)
    assert not settled.collapsed
    assert made.deliveries.counts.collapsed == {"cart": 2}
    again = made.next()
    assert again.event.offset == newest
    assert made.settle(again, SERVER_ERROR).retry_in is not None


def test_a_state_that_waits_for_its_confirmation_stays() -> None:
    made = awaiting()
    made.empty(A)
    confirmation = made.next()
    assert (confirmation.event.offset, confirmation.confirming) == (1, True)
    made.settle(confirmation)
    assert (made.deliveries.pending, made.committable, made.deliveries.counts.delivered) == (0, 3, {"cart": 1})


def test_a_confirmation_in_flight_that_fails_is_tried_again() -> None:
    made = awaiting()
    confirmation = made.next()
    made.empty(A)
    assert made.settle(confirmation, SERVER_ERROR).retry_in == 1.0
    assert made.next().confirming


def test_a_state_in_flight_that_is_delivered_after_an_ambiguous_one_is_confirmed() -> None:
    made, second = overtaken()
    made.empty(A)
    assert made.settle(second).first
    assert made.next().confirming


def test_only_states_of_its_own_partition_and_entity_are_dropped() -> None:
    made = box(partitions=(P0, P1))
    made.add(A, P0)
    made.add(A, P1)
    made.add(B, P0)
    made.empty(A, P1)
    sent = {(attempt.entity, attempt.event.owner.partition) for attempt in (made.next(), made.next())}
    assert sent == {(A, P0), (B, P0)}


def test_an_emptied_cart_of_which_nothing_is_pending_is_counted_and_passed() -> None:
    made = box()
    made.empty(A)
    assert (made.deliveries.pending, made.committable, made.deliveries.counts.skipped) == (0, 1, EMPTIED)


def test_a_dropped_state_takes_the_confirmation_that_it_replaced_with_it() -> None:
    """The one before was settled by it, and nobody sends it again."""
    made = awaiting()
    made.add(A)
    made.empty(A)
    assert (made.deliveries.pending, made.committable, made.deliveries.counts.delivered) == (0, 4, {"cart": 1})
