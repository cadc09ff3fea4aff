"""After an ambiguous request that a newer state overtook, the newest is sent once more: a late landing can't win."""

import pytest

from tests.core.support import (
    NOT_CONNECTED,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    TIMED_OUT,
    TOO_MANY,
    WINDOW,
    A,
    B,
    Box,
    C,
    D,
    awaiting,
    box,
    overtaken,
)
from worker.core.outcome import DELIVERED, Outcome, Result

LOST = Outcome(Result.RETRYABLE, "connection", "reset by peer", ambiguous=True)


@pytest.mark.parametrize("ambiguous", [TIMED_OUT, LOST])
def test_the_newest_state_is_sent_once_more_10_seconds_after_it_was_delivered(ambiguous: Outcome) -> None:
    made, second = overtaken(ambiguous)
    made.pass_time(3.0)
    assert made.settle(second).first
    delivered_at = made.now
    made.until(delivered_at + 9.999)
    assert made.nothing()
    made.until(delivered_at + 10.0)
    again = made.take()
    assert (again.event.offset, again.confirming) == (1, True)
    assert not made.settle(again).first
    assert made.deliveries.wake_at(made.now) is None


def test_it_settles_only_then() -> None:
    made = awaiting()
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending) == (1, 1, 1)
    assert made.deliveries.counts.delivered.total() == 0
    made.settle(made.next())
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending, made.deliveries.pending_bytes) == (
        2,
        0,
        0,
        0,
    )
    assert made.deliveries.counts.delivered == {"cart": 1}


@pytest.mark.parametrize("failure", [NOT_CONNECTED, SERVER_ERROR, TOO_MANY])
def test_a_request_that_can_not_land_any_more_needs_no_confirmation(failure: Outcome) -> None:
    made, second = overtaken(failure)
    made.settle(second)
    assert (made.deliveries.pending, made.committable) == (0, 2)


def test_an_ambiguous_request_that_is_repeated_itself_needs_no_confirmation() -> None:
    made = box()
    (first,) = made.start(A)
    made.settle(first, TIMED_OUT)
    made.settle(made.next())
    assert (made.deliveries.pending, made.committable) == (0, 1)


def test_a_retry_that_is_replaced_was_overtaken_too() -> None:
    made = box()
    (first,) = made.start(A)
    made.settle(first, TIMED_OUT)
    made.add(A)
    made.settle(made.next())
    delivered_at = made.now
    assert made.deliveries.unsettled == 1
    assert made.next().event.offset == 1
    assert made.now == delivered_at + 10.0


def test_a_state_that_comes_after_the_repeated_ones_delivery_has_overtaken_it_as_well() -> None:
    """The first, ambiguous sending may still be on its way when the newer state is delivered."""
    made = box()
    (first,) = made.start(A)
    made.settle(first, TIMED_OUT)
    made.settle(made.next())
    assert made.deliveries.pending == 0
    made.pass_time(1.0)
    made.send(A)
    delivered_at = made.now
    assert made.deliveries.unsettled == 1
    assert made.next().event.offset == 1
    assert made.now == delivered_at + 10.0


@pytest.mark.parametrize("ticks", [True, False])
def test_a_state_that_comes_long_after_needs_no_confirmation(*, ticks: bool) -> None:
    made = box()
    (first,) = made.start(A)
    made.settle(first, TIMED_OUT)
    made.settle(made.next())
    made.now += 10.0
    if ticks:
        made.deliveries.tick(made.now)
    made.send(A)
    assert made.deliveries.pending == 0


def test_unless_it_is_replaced_by_then() -> None:
    made = awaiting()
    delivered_at = made.now
    made.pass_time(2.0)
    made.add(A)
    assert made.deliveries.counts.delivered == {"cart": 1}
    assert made.deliveries.counts.collapsed.total() == 1
    third = made.next()
    assert (third.event.offset, third.confirming, made.now) == (2, False, delivered_at + 2.0 + WINDOW)
    assert made.settle(third).first
    confirmed = made.next()
    assert (confirmed.event.offset, confirmed.confirming, made.now) == (2, True, delivered_at + 12.0 + WINDOW)
    made.settle(confirmed)
    assert (made.deliveries.pending, made.committable) == (0, 3)


def test_a_newer_state_that_waits_already_takes_over_the_need_to_confirm() -> None:
    made, second = overtaken()
    made.add(A)
    made.settle(second)
    assert made.deliveries.counts.delivered == {"cart": 1}
    third = made.next()
    made.settle(third)
    delivered_at = made.now
    confirmed = made.next()
    assert (confirmed.event.offset, confirmed.confirming, made.now) == (2, True, delivered_at + 10.0)


def test_once_confirmed_the_next_state_needs_no_confirmation() -> None:
    made = awaiting()
    made.settle(made.next())
    made.pass_time(1.0)
    made.send(A)
    assert (made.deliveries.pending, made.committable) == (0, 3)


def test_a_confirmation_that_fails_is_retried() -> None:
    made = awaiting()
    confirmation = made.next()
    assert made.settle(confirmation, SERVER_ERROR).retry_in == 1.0
    again = made.next()
    assert (again.confirming, again.event.offset) == (True, 1)
    made.settle(again)
    assert (made.deliveries.pending, made.deliveries.counts.delivered) == (0, {"cart": 1})


def test_a_confirmation_that_times_out_is_repeated_and_that_is_enough() -> None:
    made = awaiting()
    made.settle(made.next(), TIMED_OUT)
    made.settle(made.next())
    assert (made.deliveries.pending, made.deliveries.counts.delivered) == (0, {"cart": 1})


def test_a_confirmation_that_timed_out_and_is_overtaken_asks_for_another() -> None:
    made = awaiting()
    made.settle(made.next(), TIMED_OUT)
    made.settle(made.next())
    made.pass_time(1.0)
    made.send(A)
    assert made.deliveries.unsettled == 1
    confirmed = made.next()
    assert (confirmed.event.offset, confirmed.confirming) == (2, True)


def test_a_newer_state_that_replaces_a_failed_confirmation_keeps_its_time() -> None:
    made = awaiting()
    made.settle(made.next(), SERVER_ERROR)
    due = made.now + 1.0
    made.add(A)
    assert made.deliveries.counts.delivered == {"cart": 1}
    newest = made.next()
    assert (newest.event.offset, newest.confirming, made.now) == (2, False, due)


def test_a_confirmation_in_flight_that_fails_gives_way_to_a_newer_state() -> None:
    made = awaiting()
    confirmation = made.next()
    made.add(A)
    made.settle(confirmation, SERVER_ERROR)
    assert made.deliveries.counts.delivered == {"cart": 1}
    newest = made.next()
    assert (newest.event.offset, newest.confirming) == (2, False)


def test_a_rejected_newest_state_is_not_confirmed() -> None:
    made, second = overtaken()
    made.settle(second, REJECTED)
    assert (made.deliveries.pending, made.committable) == (0, 2)


def test_a_refused_state_takes_the_confirmation_of_the_one_before_with_it() -> None:
    """Collapse is final: the one before is settled by its successor, and nobody sends it again."""
    made = awaiting()
    made.add(A)
    made.settle(made.next(), REJECTED)
    assert (made.deliveries.pending, made.committable) == (0, 3)


def test_a_partition_that_goes_takes_the_confirmation_with_it() -> None:
    made = awaiting()
    assert made.lose(P0) == 1
    assert (made.deliveries.pending, made.deliveries.wake_at(made.now)) == (0, None)


def test_an_ambiguous_request_of_a_lost_partition_is_overtaken_by_the_next_ownerships_state() -> None:
    made = box()
    (first,) = made.start(A)
    made.lose(P0)
    made.own(P0)
    made.add(A)
    newer = made.add(A)
    made.settle(first, TIMED_OUT)
    made.settle(made.next())
    assert made.deliveries.unsettled == 1
    confirmed = made.next()
    assert (confirmed.event.offset, confirmed.confirming) == (newer, True)


def test_an_ambiguous_request_is_overtaken_across_partitions_too() -> None:
    made = box(partitions=(P0, P1))
    made.add(A, P0)
    made.add(A, P1)
    made.settle(made.next(), TIMED_OUT)
    made.settle(made.next())
    second = made.next()
    assert second.event.owner.partition == P1
    made.settle(second)
    delivered_at = made.now
    confirmed = made.next()
    assert (confirmed.event.owner.partition, confirmed.confirming) == (P1, True)
    assert made.now == delivered_at + 10.0


def shut_by_others(made: Box) -> None:
    """Five failures of B, C and D, at once."""
    for entity in (B, C, D):
        made.add(entity)
    made.pass_time(WINDOW)
    for attempt in [made.take() for _ in range(3)]:
        made.settle(attempt, SERVER_ERROR)
    made.pass_time(1.0)
    for attempt in [made.take() for _ in range(2)]:
        made.settle(attempt, SERVER_ERROR)
    assert made.tripped is not None


def test_a_confirmation_is_no_probe_before_its_10_seconds_have_passed() -> None:
    """Sent early it would settle early, and a late landing of the older state would win."""
    made = awaiting()
    delivered_at = made.now
    shut_by_others(made)
    while made.now < delivered_at + 60.0 and made.tripped is not None:
        probe = made.next()
        if probe.entity == A:
            assert made.now >= delivered_at + 10.0
            made.settle(probe)
        else:
            made.settle(probe, SERVER_ERROR)
    assert made.tripped is None


def test_a_newer_state_in_place_of_a_confirmation_may_be_a_probe_as_soon_as_it_is_due() -> None:
    made = awaiting()
    delivered_at = made.now
    shut_by_others(made)
    newest = made.add(A)
    while (probe := made.next()).entity != A:
        made.settle(probe, SERVER_ERROR)
    assert made.now < delivered_at + 10.0
    assert (probe.event.offset, probe.confirming) == (newest, False)


def test_it_is_the_last_ten_seconds_and_not_the_first_that_count() -> None:
    """A state that is delivered late is confirmed late: the ten seconds start with its delivery."""
    made, second = overtaken()
    made.settle(second, SERVER_ERROR)
    made.pass_time(100.0)
    made.settle(made.take(), DELIVERED)
    delivered_at = made.now
    made.next()
    assert made.now == delivered_at + 10.0


def test_a_confirmation_that_uses_up_its_attempts_becomes_a_letter() -> None:
    """The API accepted it once; what it holds since then, nobody knows, so the event is worth a look."""
    made = awaiting(max_attempts=1, dead_letters=True)
    made.send(B)
    confirmation = made.next()
    assert confirmation.confirming
    assert made.settle(confirmation, SERVER_ERROR).exhausted
    (letter,) = made.deliveries.letters.take(made.now, 10)
    assert (letter.reason, letter.event.offset) == ("attempts_exhausted", 1)
    assert letter.message.startswith("accepted once, but not confirmed; given up after 1 attempts")
    assert made.committable == 1
    made.deliveries.letter_written(letter)
    assert made.committable == 3


def test_another_record_at_the_same_offset_of_a_log_that_went_back_is_not_the_ambiguous_one() -> None:
    made = box()
    (first,) = made.start(A)
    made.deliveries.advance(P0, 0, made.now)
    made.deliveries.committed({P0: 0}, made.now)
    made.deliveries.set_end(P0, 0, made.now)
    made.positions[P0] = 0
    made.add(A)
    made.settle(first, TIMED_OUT)
    newer = made.next()
    assert (newer.event.offset, newer.confirming) == (0, False)
    assert made.settle(newer).first
    confirmed = made.next()
    assert (confirmed.event, confirmed.confirming) == (newer.event, True)
