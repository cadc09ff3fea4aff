"""An entity whose events arrive from two partitions while one is pending is counted once."""

from tests.core.support import P0, P1, SERVER_ERROR, A, B, box


def test_an_entity_with_pending_events_of_two_partitions_is_counted_once() -> None:
    made = box(partitions=(P0, P1))
    for _ in range(3):
        made.add(A, P0)
        made.add(A, P1)
    made.add(B, P0)
    assert made.deliveries.counts.in_two_partitions == {"carts": 1}


def test_what_is_in_flight_is_pending_too() -> None:
    made = box(partitions=(P0, P1))
    made.start(A)
    made.add(A, P1)
    assert made.deliveries.counts.in_two_partitions == {"carts": 1}


def test_an_event_that_comes_after_the_other_partition_s_was_settled_is_no_sign_of_anything() -> None:
    made = box(partitions=(P0, P1))
    made.send(A)
    made.send(A, partition=P1)
    assert not made.deliveries.counts.in_two_partitions


def test_a_partition_that_comes_back_while_its_request_is_in_flight_is_no_second_one() -> None:
    made = box()
    (late,) = made.start(A)
    made.lose(P0)
    made.own(P0)
    made.add(A)
    made.settle(late, SERVER_ERROR)
    assert not made.deliveries.counts.in_two_partitions
