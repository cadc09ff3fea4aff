"""What a partition's next owner must know: a request that was given up may land after what comes next."""

import pytest

from tests.core.support import P0, P1, SERVER_ERROR, TIMED_OUT, A, B, D, box
from worker.core.delivery_config import CATCH_UP_AT_MOST, CONFIRM_AFTER
from worker.core.outcome import DELIVERED


def test_a_partition_with_a_request_that_was_given_up_is_unclear() -> None:
    made = box(partitions=(P0, P1))
    made.add(A)
    made.add(B, P1)
    made.pass_time(1.0)
    for _ in range(2):
        attempt = made.take()
        made.settle(attempt, TIMED_OUT if attempt.entity == A else SERVER_ERROR)
    assert made.deliveries.ambiguous([P0, P1], made.now) == {P0}


def test_so_is_one_with_a_request_under_way_and_none_without() -> None:
    made = box()
    assert made.deliveries.ambiguous([P0], made.now) == set()
    made.add(A)
    attempt = made.next()
    assert made.deliveries.ambiguous([P0], made.now) == {P0}
    made.settle(attempt, DELIVERED)
    assert made.deliveries.ambiguous([P0], made.now) == set()


def test_it_stays_unclear_for_as_long_as_the_request_may_land() -> None:
    made = box(window=0.0)
    made.add(A)
    made.settle(made.take(), TIMED_OUT)
    made.settle(made.next(), DELIVERED)  # the same state once more: nothing to confirm
    assert made.deliveries.pending == 0
    assert made.deliveries.ambiguous([P0], made.now) == {P0}
    made.pass_time(CONFIRM_AFTER)
    assert made.deliveries.ambiguous([P0], made.now) == set()


def test_nothing_is_sent_before_the_note_that_something_may_be() -> None:
    """Who dies can't say any more that its requests may still take effect, so that is said before there are any."""
    made = box(window=0.0, partitions=())
    made.deliveries.assign([P0], made.now)
    made.deliveries.set_end(P0, 0, made.now)
    assert not made.deliveries.awaits_dirty_marker()
    made.deliveries.advance(P0, 0, made.now)
    assert made.deliveries.awaits_dirty_marker()
    made.add(A)
    assert made.nothing()
    made.deliveries.committed(made.deliveries.committable(), made.now)
    assert not made.deliveries.awaits_dirty_marker()
    assert made.take().entity == A


def test_where_the_note_stands_already_nothing_waits_for_it() -> None:
    made = box(window=0.0, partitions=())
    made.deliveries.assign([P0], made.now)
    made.deliveries.found_dirty([P0], made.now)
    made.deliveries.advance(P0, 0, made.now)
    made.deliveries.set_end(P0, 0, made.now)
    made.add(A)
    assert made.take().entity == A


def test_a_note_that_can_not_be_written_holds_nothing_up_for_ever() -> None:
    made = box(window=0.0, partitions=())
    made.deliveries.assign([P0], made.now)
    made.deliveries.advance(P0, 0, made.now)
    made.add(A)
    made.pass_time(CATCH_UP_AT_MOST)
    assert made.take().entity == A


def test_a_drain_sends_once_the_note_is_written() -> None:
    made = box(window=0.0, partitions=())
    made.deliveries.assign([P0], made.now)
    made.add(A)
    made.deliveries.drain(made.now, made.now + 20.0)
    assert made.nothing()
    assert not made.deliveries.drained(made.now), "its note is on its way"
    made.deliveries.committed({P0: 0}, made.now)
    made.settle(made.take())
    assert made.deliveries.drained(made.now)


@pytest.mark.parametrize(
    "hindrance", ["time is over", "lease is over", "breaker is open", "asked back", "nothing waits"]
)
def test_a_drain_does_not_wait_for_a_note_that_would_change_nothing(hindrance: str) -> None:
    made = box(window=0.0, partitions=(P0,))
    if hindrance == "breaker is open":
        made.trip()
    made.deliveries.assign([P1], made.now)
    if hindrance != "nothing waits":
        made.add(D, P1)
    if hindrance == "asked back":
        made.deliveries.suspend([P1])
    made.deliveries.drain(made.now, made.now + 20.0)
    if hindrance == "lease is over":
        made.deliveries.lease_until = made.now
    if hindrance == "time is over":
        made.pass_time(20.1)
    assert made.deliveries.drained(made.now)


def test_an_unclear_one_keeps_its_note_and_the_others_lose_it() -> None:
    made = box(window=0.0, partitions=(P0, P1))
    made.add(A)
    made.settle(made.take(), TIMED_OUT)
    made.deliveries.suspend([P0, P1])
    assert made.deliveries.last_committable([P0, P1], made.now) == {P1: 0}
    assert made.deliveries.last_committable([P0], made.now) == {}
    made.deliveries.committed({P1: 0}, made.now, ambiguous=set())
    assert made.deliveries.last_committable([P0, P1], made.now) == {}


def test_what_is_given_back_is_noted_again_before_it_goes_on() -> None:
    """Eager assignors ask everything back, and mostly give it again."""
    made = box(window=0.0)
    made.add(A)
    made.deliveries.suspend([P0])
    made.deliveries.committed(made.deliveries.last_committable([P0], made.now), made.now, ambiguous=set())
    assert made.deliveries.assign([P0], made.now) == []
    assert made.nothing()
    made.deliveries.committed(made.deliveries.committable(), made.now)
    assert made.take().entity == A


def test_who_inherits_sends_once_more_what_it_delivers_soon() -> None:
    made = box(window=0.0)
    made.deliveries.found_dirty([P0], made.now)
    made.add(A)
    assert made.settle(made.take(), DELIVERED).first
    assert made.committable == 0
    assert made.deliveries.take(made.now) is None
    made.pass_time(CONFIRM_AFTER)
    confirmation = made.take()
    assert confirmation.confirming
    assert not made.settle(confirmation, DELIVERED).first
    assert made.committable == 1
    assert made.deliveries.counts.delivered.total() == 1


def test_what_is_delivered_later_is_not_sent_twice() -> None:
    made = box(window=0.0)
    made.deliveries.found_dirty([P0], made.now)
    made.pass_time(CONFIRM_AFTER)
    made.add(A)
    made.settle(made.take(), DELIVERED)
    assert made.deliveries.pending == 0


@pytest.mark.parametrize("passed", [0.0, CONFIRM_AFTER / 2])
def test_it_is_handed_on_as_unclear_as_long_as_it_is(passed: float) -> None:
    made = box()
    made.deliveries.found_dirty([P0], made.now)
    made.pass_time(passed)
    assert made.deliveries.ambiguous([P0], made.now) == {P0}
    made.pass_time(CONFIRM_AFTER - passed)
    assert made.deliveries.ambiguous([P0], made.now) == set()


def test_another_partition_inherits_nothing() -> None:
    made = box(window=0.0, partitions=(P0, P1))
    made.deliveries.found_dirty([P1], made.now)
    made.add(A)
    made.settle(made.take(), DELIVERED)
    assert made.deliveries.pending == 0
