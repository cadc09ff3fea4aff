"""Order: one request in flight for an entity, its states in log order, and partitions of one entity in a queue."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.support import P0, P1, REJECTED, SERVER_ERROR, WINDOW, A, B, Box, box
from worker.core.outcome import DELIVERED
from worker.core.state import Partition


def two() -> Box:
    return box(partitions=(P0, P1))


def test_an_entity_has_one_request_in_flight_at_most() -> None:
    made = box()
    (first,) = made.start(A)
    for _ in range(5):
        made.add(A)
        made.pass_time(60.0)
        assert made.nothing()
    made.settle(first)
    assert made.take().event.offset == 5


def test_other_entities_go_on_meanwhile() -> None:
    made = box()
    made.start(A)
    made.add(B)
    assert made.next().entity == B


def test_the_states_of_an_entity_are_sent_in_log_order() -> None:
    made = box()
    sent = []
    made.add(A)
    for _ in range(5):
        attempt = made.next()
        sent.append(attempt.event.offset)
        made.add(A)
        made.add(A)
        made.settle(attempt)
    assert sent == [0, 2, 4, 6, 8]


def test_entities_are_sent_in_the_order_in_which_they_are_due() -> None:
    made = box()
    made.add(B)
    made.pass_time(0.1)
    made.add(A)
    made.pass_time(0.1)
    made.add(B)
    made.pass_time(1.0)
    assert [made.take().entity, made.take().entity] == [B, A]


def test_after_a_redelivery_the_last_one_sent_is_the_newest() -> None:
    made = box()
    made.send(A)
    (second,) = made.start(A)
    made.add(A)
    made.settle(second)
    made.settle(made.next())
    made.lose(P0)
    made.own(P0, end=3)
    for _ in range(3):
        made.add(A)
    made.deliveries.tick(made.now)
    attempt = made.next()
    assert attempt.event.offset == 2
    made.settle(attempt)
    assert made.deliveries.pending == 0


# One entity in two partitions.


def test_events_of_different_partitions_queue_first_come_first_sent() -> None:
    made = two()
    made.add(A, P1)
    made.add(A, P0)
    first = made.next()
    assert first.event.owner.partition == P1
    made.pass_time(60.0)
    assert made.nothing()
    made.settle(first)
    second = made.take()
    assert second.event.owner.partition == P0
    made.settle(second)
    assert made.deliveries.counts.delivered == {"cart": 2}
    assert made.deliveries.pending == 0


def test_each_partition_collapses_its_own_and_keeps_its_place_in_the_queue() -> None:
    made = two()
    for partition in (P0, P1, P0, P1, P0):
        made.add(A, partition)
    assert made.deliveries.counts.collapsed == {"cart": 3}
    first = made.next()
    assert (first.event.owner.partition, first.event.offset) == (P0, 2)
    made.settle(first)
    second = made.next()
    assert (second.event.owner.partition, second.event.offset) == (P1, 1)


def test_a_retry_goes_before_what_queues_behind_it() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    made.settle(made.next(), SERVER_ERROR)
    second = made.next()
    assert second.event.owner.partition == P0
    made.settle(second)
    assert made.next().event.owner.partition == P1


def test_a_rejection_in_one_partition_leaves_the_other_ones_event_alone() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    made.settle(made.next(), REJECTED)
    made.settle(made.next(), DELIVERED)
    assert made.deliveries.counts.delivered == {"cart": 1}
    assert made.deliveries.counts.rejected.total() == 1


def test_each_partition_has_its_own_account_of_what_may_be_committed() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    made.settle(made.next())
    assert made.deliveries.committable() == {P0: 1}
    made.settle(made.next())
    assert made.deliveries.committable() == {P0: 1, P1: 1}


def test_losing_the_partition_at_the_head_lets_the_next_one_go() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    assert made.lose(P0) == 1
    attempt = made.next()
    assert attempt.event.owner.partition == P1
    made.settle(attempt)
    assert made.deliveries.pending == 0


def test_losing_the_partition_behind_leaves_the_head_where_it_is() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    assert made.lose(P1) == 1
    attempt = made.next()
    assert attempt.event.owner.partition == P0
    made.settle(attempt)
    assert made.deliveries.pending == 0


def test_losing_both_partitions_leaves_nothing() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    assert made.deliveries.release([P0, P1], "lost", made.now) == 2
    assert (made.deliveries.pending, made.deliveries.pending_bytes, made.deliveries.wake_at(made.now)) == (0, 0, None)


def test_a_partition_that_is_held_back_at_the_head_holds_the_queue_until_it_is_not() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    made.deliveries.suspend([P0])
    made.pass_time(10.0)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) is None
    made.deliveries.assign([P0], made.now)
    first = made.take()
    assert first.event.owner.partition == P0
    made.settle(first)
    assert made.take().event.owner.partition == P1


def test_a_held_partition_behind_does_not_hold_the_head_back() -> None:
    made = two()
    made.add(A, P0)
    made.add(A, P1)
    made.deliveries.suspend([P1])
    first = made.next()
    assert first.event.owner.partition == P0
    made.settle(first)
    made.pass_time(10.0)
    assert made.nothing()
    made.deliveries.assign([P1], made.now)
    assert made.take().event.owner.partition == P1


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from([P0, P1]), st.sampled_from(["add", "add", "take", "fail", "deliver", "wait"])),
        max_size=60,
    )
)
def test_within_each_partition_an_entitys_states_go_out_in_log_order(steps: list[tuple[Partition, str]]) -> None:
    made, sent, in_flight = two(), [], None
    for partition, step in [*steps, *[(P0, "wait"), (P0, "deliver"), (P0, "take")] * 10]:
        if step == "add":
            made.add(A, partition)
        elif step == "wait":
            made.pass_time(WINDOW + 30.0)
        elif step == "take":
            taken = made.deliveries.take(made.now)
            assert taken is None or in_flight is None
            if taken is not None:
                in_flight = taken
                sent.append((taken.event.owner.partition, taken.event.offset))
        elif in_flight is not None:
            made.settle(in_flight, DELIVERED if step == "deliver" else SERVER_ERROR)
            in_flight = None
    for partition in (P0, P1):
        offsets = [offset for where, offset in sent if where == partition]
        assert offsets == sorted(offsets)
        newest = made.positions[partition] - 1
        assert newest == -1 or offsets[-1] == newest
    assert made.deliveries.pending == 0
