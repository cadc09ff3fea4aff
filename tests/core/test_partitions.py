"""Assignment: assign, suspend, release, return; what settles under an old epoch settles nothing."""

import pytest

from tests.core.support import (
    KEY_REFUSED,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    TIMED_OUT,
    TOMBSTONE,
    TOO_MANY,
    A,
    B,
    Box,
    C,
    D,
    box,
    closed,
    opened,
)
from worker.core.circuit_breaker import TripReason
from worker.core.outcome import DELIVERED, Outcome

OUTCOMES = [DELIVERED, REJECTED, SERVER_ERROR, TIMED_OUT, TOO_MANY, KEY_REFUSED]


def test_what_is_not_owned_is_not_taken_in() -> None:
    made = box(partitions=())
    deliveries = made.deliveries
    assert not deliveries.add(P0, 0, A, None, size=1, occurred_at=0.0, now=made.now)
    assert not deliveries.skip(P0, 0, TOMBSTONE, made.now)
    assert not deliveries.refuse(
        P0, 0, None, size=1, kind="cart", entity_id=None, reason="invalid_event", message="", now=made.now
    )
    deliveries.advance(P0, 5, made.now)
    deliveries.set_end(P0, 5, made.now)
    assert (
        deliveries.counts.consumed.total()
        == deliveries.pending
        == deliveries.pending_bytes
        == deliveries.unsettled
        == 0
    )
    assert deliveries.committable() == {}


def test_assigning_says_which_partitions_are_new() -> None:
    made = box()
    assert made.deliveries.assign([P0, P1], made.now) == [P1]
    assert set(made.deliveries.owned) == {P0, P1}


def test_nothing_may_be_committed_before_a_position_is_known() -> None:
    made = box(partitions=())
    made.deliveries.assign([P0], made.now)
    assert made.deliveries.committable() == {}
    made.deliveries.advance(P0, 7, made.now)
    assert made.deliveries.committable() == {P0: 7}


def test_what_is_committed_is_not_offered_again() -> None:
    made = box()
    made.send(A)
    offsets = made.deliveries.committable()
    assert offsets == {P0: 1}
    made.deliveries.committed(offsets, made.now)
    assert made.deliveries.committable() == {}
    made.skip()
    assert made.deliveries.committable() == {P0: 2}


def test_a_commit_that_was_not_acknowledged_is_offered_again() -> None:
    made = box()
    made.send(A)
    assert made.deliveries.committable() == made.deliveries.committable() == {P0: 1}


def test_no_commit_passes_an_unsettled_event() -> None:
    made = box()
    made.add(A)
    for entity in (B, C):
        made.add(entity)
    made.pass_time(0.5)
    a, b, c = made.take(), made.take(), made.take()
    made.settle(c)
    made.settle(b)
    assert made.committable == 0
    made.settle(a)
    assert made.committable == 3


def test_a_gap_in_the_log_costs_nothing() -> None:
    made = box()
    made.send(A)
    made.deliveries.advance(P0, 1_000_000, made.now)
    made.positions[P0] = 1_000_000
    assert made.committable == 1_000_000
    made.send(B)
    assert made.committable == 1_000_001


def test_a_partition_that_is_about_to_go_starts_nothing_more_but_is_read_and_committed() -> None:
    made = box()
    (first,) = made.start(A)
    made.deliveries.suspend([P0])
    made.add(B)
    made.pass_time(60.0)
    assert made.nothing()
    assert made.deliveries.busy([P0]) == 1
    made.settle(first)
    assert made.deliveries.busy([P0]) == 0
    assert made.deliveries.committable() == {P0: 1}


def test_a_retry_of_a_partition_that_is_about_to_go_does_not_start() -> None:
    made = box()
    (first,) = made.start(A)
    made.deliveries.suspend([P0])
    made.settle(first, SERVER_ERROR)
    made.pass_time(60.0)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) is None


def test_a_partition_that_is_retained_goes_on_with_what_it_has() -> None:
    made = box()
    made.add(A)
    made.deliveries.suspend([P0])
    made.pass_time(1.0)
    assert made.nothing()
    assert made.deliveries.assign([P0], made.now) == []
    assert made.take().event.offset == 0
    assert made.deliveries.counts.released.total() == 0


def test_other_partitions_go_on_while_one_is_about_to_go() -> None:
    made = box(partitions=(P0, P1))
    made.add(A, P0)
    made.add(B, P1)
    made.deliveries.suspend([P0])
    assert made.next().entity == B
    assert (made.deliveries.busy([P0]), made.deliveries.busy([P1]), made.deliveries.busy([P0, P1])) == (0, 1, 1)


def test_what_is_unsettled_when_a_partition_is_revoked_is_released() -> None:
    made = box(partitions=(P0, P1))
    made.add(A, P0)
    made.add(B, P0)
    made.add(C, P1)
    assert made.deliveries.release([P0], "revoked", made.now) == 2
    assert made.deliveries.counts.released == {"revoked": 2}
    assert (made.deliveries.pending, made.deliveries.unsettled) == (1, 1)
    assert P0 not in made.deliveries.committable()
    made.settle(made.next())
    assert made.deliveries.wake_at(made.now) is None


def test_releasing_what_is_not_owned_releases_nothing() -> None:
    made = box()
    assert made.deliveries.release([P1], "lost", made.now) == 0
    assert made.deliveries.counts.released.total() == 0


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_settles_under_an_old_epoch_settles_nothing(outcome: Outcome) -> None:
    made = box(dead_letters=True, max_attempts=0)
    (late,) = made.start(A)
    made.lose(P0)
    made.own(P0)
    made.add(B)
    settled = made.settle(late, outcome)
    assert settled.stale
    assert (settled.retry_in, settled.first, settled.exhausted) == (None, False, False)
    assert made.committable == 0
    assert (made.deliveries.unsettled, made.deliveries.pending, len(made.deliveries.letters)) == (1, 1, 0)
    assert made.deliveries.counts.delivered.total() == made.deliveries.counts.rejected.total() == 0


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_entity_whose_partition_returns_in_flight_waits_for_its_old_request(outcome: Outcome) -> None:
    made = box()
    (late,) = made.start(A)
    made.lose(P0)
    made.own(P0)
    made.add(A)
    made.pass_time(60.0)
    if outcome is not KEY_REFUSED:
        assert made.nothing()
    made.settle(late, outcome)
    if made.tripped is None:
        again = made.next()
        assert (again.event.offset, again.event.owner.alive) == (0, True)
        made.settle(again)
        if outcome.ambiguous:  # whether it is the same record, nobody knows: its log may have gone back meanwhile
            made.settle(made.next())
        assert made.committable == 1


def test_a_late_failure_under_an_old_epoch_is_not_retried() -> None:
    made = box()
    (late,) = made.start(A)
    made.lose(P0)
    made.settle(late, SERVER_ERROR)
    assert (made.deliveries.pending, made.deliveries.wake_at(made.now)) == (0, None)


def test_a_late_answer_under_an_old_epoch_still_says_how_the_api_is() -> None:
    made = box(partitions=(P0, P1))
    made.add(D, P1)
    late = made.next()
    made.trip()
    made.lose(P1)
    settled = made.settle(late, DELIVERED)
    assert settled.stale
    assert closed(settled) == [TripReason.OUTAGE]
    assert made.tripped is None


def test_a_refused_key_under_an_old_epoch_is_one_of_three() -> None:
    made = box(partitions=(P0, P1))
    late = made.start(A, B)
    made.add(C, P1)
    made.lose(P0)
    for attempt in late:
        assert made.settle(attempt, KEY_REFUSED).changes == ()
    assert opened(made.settle(made.next(), KEY_REFUSED)) == [TripReason.INVALID_API_KEY]


def test_a_request_of_a_partition_that_is_gone_is_nobodys_business_but_its_entitys() -> None:
    made = box()
    made.start(A)
    made.lose(P0)
    assert made.deliveries.busy([P0]) == 0
    assert made.deliveries.in_flight == 1
    made.own(P0)
    assert made.deliveries.busy([P0]) == 0


def test_a_partition_may_come_and_go_often_while_one_request_is_under_way() -> None:
    made = box()
    (late,) = made.start(A)
    for _ in range(10):
        made.lose(P0)
        made.own(P0)
        made.add(A)
        made.pass_time(1.0)
        assert made.nothing()
    made.settle(late)
    made.settle(made.take())
    assert (made.deliveries.pending, made.committable, made.deliveries.in_flight) == (0, 1, 0)


# The log goes back: the topic was recreated, or offsets were out of range.


def cut_to(made: Box, end: int) -> None:
    made.positions[P0] = end


def went_back(made: Box) -> None:
    cut_to(made, 0)


def test_a_log_that_goes_back_is_another_log() -> None:
    made = box()
    made.send(A)
    made.add(A)
    made.add(B)
    went_back(made)
    made.add(C)
    assert made.deliveries.counts.released == {"lost": 2}
    assert (made.deliveries.unsettled, made.deliveries.pending) == (1, 1)
    assert made.deliveries.committable() == {P0: 0}


def test_after_the_log_went_back_all_of_it_is_read_and_settled() -> None:
    made = box()
    (late,) = made.start(A)
    made.add(B)
    went_back(made)
    made.add(A)
    made.deliveries.set_end(P0, 1, made.now)
    made.deliveries.committed(made.deliveries.committable(), made.now)
    assert made.settle(late).stale
    made.settle(made.next())
    assert (made.deliveries.pending, made.committable) == (0, 1)


def test_a_log_that_lost_its_end_takes_only_that() -> None:
    """The brokers elected a leader that lacked it. What is below is read by nobody again: the client reads on there."""
    made = box()
    made.add(A)
    for _ in range(3):
        made.add(B)
    cut_to(made, 2)
    made.add(C)
    assert made.deliveries.counts.released == {"lost": 1}
    assert made.committable == 0
    made.deliveries.set_end(P0, 3, made.now)
    made.deliveries.committed({P0: 0}, made.now)
    assert {made.next().event.offset, made.next().event.offset} == {0, 2}
    assert made.deliveries.unsettled == 2


def test_the_client_s_position_tells_it_before_anything_new_is_read() -> None:
    made = box()
    a, b = made.start(A, B)
    made.settle(b)
    made.deliveries.advance(P0, 1, made.now)
    assert made.deliveries.counts.released.total() == 0
    assert made.committable == 0
    made.settle(a)
    made.deliveries.committed({P0: 1}, made.now)
    made.deliveries.advance(P0, 0, made.now)
    assert made.deliveries.last_committable([P0], made.now) == {P0: 0}


def test_what_is_in_flight_below_the_cut_is_settled_and_beyond_it_settles_nothing() -> None:
    made = box()
    a, b = made.start(A, B)
    cut_to(made, 1)
    made.deliveries.advance(P0, 1, made.now)
    assert made.deliveries.busy([P0]) == 1
    assert made.settle(b).stale
    assert made.committable == 0
    assert not made.settle(a).stale
    assert (made.committable, made.deliveries.pending, made.deliveries.pending_bytes) == (1, 0, 0)


def test_a_state_below_the_cut_goes_on_where_its_successor_is_lost() -> None:
    made = box()
    (first,) = made.start(A)
    made.add(A)
    cut_to(made, 1)
    made.deliveries.advance(P0, 1, made.now)
    made.settle(first, SERVER_ERROR)
    made.deliveries.set_end(P0, 1, made.now)
    made.deliveries.committed({P0: 0}, made.now)
    made.settle(made.next())
    assert (made.committable, made.deliveries.pending) == (1, 0)


def test_a_cut_forgets_the_letters_beyond_it_only() -> None:
    made = box(dead_letters=True)
    made.refuse()
    made.refuse()
    cut_to(made, 1)
    made.deliveries.advance(P0, 1, made.now)
    (letter,) = made.deliveries.letters.take(made.now, 10)
    made.deliveries.letter_written(letter)
    assert (made.committable, made.deliveries.pending) == (1, 0)


def test_after_a_cut_what_is_unclear_and_what_is_asked_back_stay_so() -> None:
    made = box()
    made.deliveries.found_dirty([P0], made.now)
    made.deliveries.suspend([P0])
    made.add(A)
    made.add(B)
    made.deliveries.advance(P0, 1, made.now)
    assert made.deliveries.ambiguous([P0], made.now) == {P0}
    made.pass_time(100.0)
    assert made.nothing()


@pytest.mark.parametrize("dead_letters", [True, False])
def test_a_skipped_or_unreadable_record_notices_it_too(*, dead_letters: bool) -> None:
    made = box(dead_letters=dead_letters)
    made.add(A)
    made.add(B)
    went_back(made)
    made.skip()
    assert made.deliveries.counts.released == {"lost": 2}
    made.refuse()
    went_back(made)
    made.refuse()
    assert made.committable == (0 if dead_letters else 1)


def test_every_event_is_accounted_for_whatever_happens() -> None:
    made = box(dead_letters=True)
    made.send(A)
    made.send(A, REJECTED)
    made.add(B)
    made.add(B)
    made.skip()
    made.refuse()
    assert made.deliveries.counts.consumed.total() == made.deliveries.counts.settled() + made.deliveries.unsettled
    made.lose(P0)
    assert made.deliveries.counts.consumed.total() == made.deliveries.counts.settled() == 6
    assert made.deliveries.counts.consumed == {"carts": 6}


def test_the_oldest_unsettled_event_is_known_by_when_it_was_read() -> None:
    made = box(partitions=(P0, P1))
    assert made.deliveries.oldest_read_at() is None
    made.pass_time(1.0)
    made.add(A, P1)
    oldest = made.now
    made.pass_time(0.1)
    made.add(B, P0)
    assert made.deliveries.oldest_read_at() == oldest
    attempt = made.next()
    assert attempt.entity == A
    assert made.deliveries.oldest_start() == made.now
    made.settle(attempt)
    assert made.deliveries.oldest_read_at() == pytest.approx(oldest + 0.1)
    assert made.deliveries.oldest_start() is None
