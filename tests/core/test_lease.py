"""Nothing starts once others may own what we have; it goes on when the group is heard again."""

import pytest

from tests.core.support import KEY_REFUSED, SERVER_ERROR, A, B, C, box
from worker.core.outcome import DELIVERED, Outcome


@pytest.mark.parametrize("late", [0.0, 0.001, 100.0])
def test_past_the_lease_nothing_starts_and_nobody_waits_for_a_time(late: float) -> None:
    made = box()
    made.add(A)
    made.deliveries.lease_until = made.now + 10.0
    made.pass_time(10.0 + late)
    assert made.deliveries.take(made.now) is None
    assert made.deliveries.wake_at(made.now) is None


def test_before_its_end_the_lease_changes_nothing() -> None:
    made = box()
    made.add(A)
    made.deliveries.lease_until = made.now + 10.0
    made.pass_time(9.999)
    assert made.take().entity == A


def test_with_a_new_lease_it_goes_on() -> None:
    made = box()
    made.add(A)
    made.deliveries.lease_until = made.now
    made.pass_time(20.0)
    assert made.deliveries.take(made.now) is None
    made.deliveries.lease_until = made.now + 10.0
    assert made.deliveries.wake_at(made.now) == made.now
    assert made.take().entity == A


def test_past_the_lease_no_probe_starts_either() -> None:
    made = box(window=0.0)
    for entity in (A, B, C):
        made.add(entity)
    for _ in range(3):
        made.settle(made.take(), KEY_REFUSED)
    assert made.tripped is not None
    made.deliveries.lease_until = made.now
    made.pass_time(60.0)
    assert made.deliveries.take(made.now) is None
    assert made.deliveries.wake_at(made.now) is None


@pytest.mark.parametrize("outcome", [DELIVERED, SERVER_ERROR])
def test_what_is_in_flight_settles_as_ever(outcome: Outcome) -> None:
    made = box()
    made.add(A)
    attempt = made.next()
    made.deliveries.lease_until = made.now
    made.settle(attempt, outcome)
    assert made.deliveries.in_flight == 0
    assert made.deliveries.counts.delivered.total() == (outcome is DELIVERED)


def test_a_drain_without_a_lease_waits_for_nothing_that_can_not_start() -> None:
    made = box()
    made.add(A)
    made.deliveries.lease_until = made.now
    made.deliveries.drain(made.now, made.now + 20.0)
    assert made.deliveries.drained(made.now)
