"""Calls first: who is on a call goes first and waits less, nobody starves, and no link to a call is lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import (
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    START,
    TIMED_OUT,
    WINDOW,
    A,
    B,
    C,
    D,
    box,
    retry_after,
)
from worker.core.calls import CALL_LASTS, CALL_RETRY, LINK_LASTS, Calls, CallShare
from worker.core.delivery_config import OVERHEAD
from worker.core.event import Entity
from worker.core.large import LARGE
from worker.core.outcome import DELIVERED
from worker.core.state import Attempt

CALL_WINDOW = 0.1
ORDER = Entity("order", "a")


def others(number: int, kind: str = "cart") -> list[Entity]:
    return [Entity("order" if kind == "order" else "cart", f"other-{at}") for at in range(number)]


def link_of(attempt: Attempt) -> tuple[str | None, str | None]:
    return (None, None) if attempt.event.link is None else attempt.event.link.texts


# Who is on a call, and until when.


def test_an_entity_on_a_call_waits_for_the_window_of_calls_only() -> None:
    made = box()
    made.add(A, call_id="7")
    assert made.deliveries.wake_at(made.now) == START + CALL_WINDOW
    made.pass_time(CALL_WINDOW)
    attempt = made.take()
    assert (attempt.entity, attempt.on_call) == (A, True)


def test_the_window_of_calls_is_never_longer_than_the_ordinary_one() -> None:
    made = box(window=0.05)
    made.add(A, agent="Zoe")
    assert made.deliveries.wake_at(made.now) == START + 0.05


def test_the_caller_s_own_clicks_go_first_too() -> None:
    made = box()
    made.add(A, agent="Zoe")
    made.settle(made.next())
    for other in others(3):
        made.add(other)
    made.pass_time(WINDOW)
    made.add(A)
    made.pass_time(CALL_WINDOW)
    assert made.take().entity == A


def test_a_call_that_becomes_known_makes_what_waits_of_its_entity_due() -> None:
    made = box(partitions=(P0, P1))
    made.add(A)
    made.pass_time(0.2)
    made.add(A, P1, call_id="7")
    made.pass_time(CALL_WINDOW)
    attempt = made.take()
    assert (attempt.event.owner.partition, made.now < START + WINDOW) == (P0, True)


def test_what_was_due_sooner_is_not_put_off_by_a_call() -> None:
    made = box()
    made.add(A)
    made.pass_time(WINDOW - 0.02)
    made.add(A, call_id="7")
    assert made.deliveries.wake_at(made.now) == START + WINDOW


@pytest.mark.parametrize(("age", "on_call"), [(CALL_LASTS - 1.0, True), (CALL_LASTS, False), (-3600.0, True)])
def test_a_call_is_over_fifteen_minutes_after_its_record_was_written(age: float, on_call: bool) -> None:
    made = box()
    made.add(A, call_id="7", age=age)
    made.settle(made.next())
    made.add(A)
    assert made.next().on_call is on_call


def test_a_record_whose_timestamp_is_ahead_makes_no_longer_call() -> None:
    made = box()
    made.add(A, call_id="7", age=-86_400.0)
    made.settle(made.next())
    made.pass_time(CALL_LASTS)
    made.add(A)
    assert not made.next().on_call


def test_an_entity_whose_call_ends_while_it_waits_waits_like_all_others() -> None:
    made = box()
    made.add(A, call_id="7", age=CALL_LASTS - 1.0)
    made.settle(made.next(), retry_after(30.0))
    made.pass_time(29.0)
    made.add(B)
    made.pass_time(1.0)
    first, second = made.take(), made.take()
    assert (first.entity, second.entity, second.on_call) == (B, A, False)


def test_a_call_ends_with_its_partition() -> None:
    made = box(partitions=(P0, P1))
    made.add(A, call_id="7")
    made.settle(made.next())
    assert len(made.deliveries.calls) == 1
    made.lose(P0)
    assert len(made.deliveries.calls) == 0
    made.add(A, P1)
    assert not made.next().on_call


def test_what_is_remembered_of_calls_is_bounded_and_the_last_to_end_is_kept() -> None:
    calls = Calls(most=100)
    for number in range(1000):
        calls.note(Entity("cart", str(number)), P0, START + number, START + number)
        assert len(calls) <= 100
    assert Entity("cart", "999") in calls.by_entity
    assert Entity("cart", "0") not in calls.by_entity


# Who goes first.


@given(st.lists(st.sampled_from("cot"), min_size=1, max_size=60), st.integers(1, 8))
def test_calls_go_first_and_of_any_four_starts_one_is_another_s(arrivals: list[str], at_once: int) -> None:
    """`c`: an event of a new call comes, `o`: another one, `t`: so many are taken."""
    made = box(window=0.0)
    waiting: dict[bool, int] = {True: 0, False: 0}
    row = 0
    for number, what in enumerate([*arrivals, *("t" * 60)]):
        if what != "t":
            made.add(Entity("cart", str(number)), call_id="7" if what == "c" else None)
            waiting[what == "c"] += 1
            continue
        for _ in range(at_once):
            attempt = made.deliveries.take(made.now)
            if attempt is None:
                break
            both = all(waiting.values())
            assert attempt.on_call or not waiting[True] or row == 3
            assert not (both and attempt.on_call and row == 3)
            row = row + both if attempt.on_call else 0
            waiting[attempt.on_call] -= 1
            made.settle(attempt)
    assert not any(waiting.values())


def test_a_crowd_of_calls_of_one_kind_takes_no_turn_from_the_other_kind() -> None:
    made = box(window=0.0)
    for number in range(40):
        made.add(Entity("cart", f"call-{number}"), call_id="7")
    for other in (*others(5), *others(5, "order")):
        made.add(other)
    started = [made.take() for _ in range(40)]
    ordinary = [attempt.entity.kind for attempt in started if not attempt.on_call]
    assert len(ordinary) >= 9
    assert {"cart", "order"} == set(ordinary[:2]) == set(ordinary[2:4])


def test_a_scarce_rate_goes_to_calls_first_and_in_part_to_others() -> None:
    made = box(window=0.0)
    made.deliveries.rate.set(4.0, made.now)
    for number, other in enumerate(others(20)):
        made.add(other)
        made.add(Entity("cart", f"call-{number}"), agent="Zoe")
    started = [made.next().on_call for _ in range(12)]
    assert started == [True, True, True, False] * 3


def test_a_call_does_not_start_before_its_partition_has_caught_up() -> None:
    made = box(partitions=())
    made.own(P0, end=2)
    made.add(A, call_id="7")
    made.pass_time(1.0)
    assert made.nothing()
    made.add(B)
    made.pass_time(WINDOW)
    assert made.take().entity == A


def test_a_large_event_of_a_call_is_admitted_like_any_other() -> None:
    made = box(window=0.0, large_at_once=LARGE)
    made.add(A, size=LARGE)
    first = made.take()
    made.add(B, size=LARGE, call_id="7")
    assert made.nothing()
    made.add(C)
    assert made.take().entity == C
    made.settle(first)
    assert made.take().entity == B


def test_a_third_of_the_probes_are_of_entities_on_a_call() -> None:
    made = box()
    made.trip()
    made.add(D, call_id="7")
    made.add(Entity("cart", "newest"))
    probed = []
    for _ in range(9):
        attempt = made.next()
        assert attempt.probe
        probed.append(attempt.on_call)
        made.settle(attempt, SERVER_ERROR)
    assert 3 <= sum(probed) <= 5
    assert len(set(pairwise(probed))) > 1


# Retries.


def test_a_retry_of_an_entity_on_a_call_waits_two_seconds_at_most_once_its_event_was_replaced() -> None:
    made = box()
    made.add(A, call_id="7")
    for _ in range(5):
        made.settle(made.next(), SERVER_ERROR)
    made.pass_time(0.5)
    replaced_at = made.now
    made.add(A)
    made.next()
    assert made.now == replaced_at + CALL_RETRY


def test_the_same_where_it_is_replaced_in_flight() -> None:
    made = box()
    made.add(A, call_id="7")
    for _ in range(5):
        made.settle(made.next(), SERVER_ERROR)
    attempt = made.next()
    made.add(A)
    assert made.settle(attempt, SERVER_ERROR).retry_in == CALL_RETRY


def test_a_retry_after_holds_for_calls_too() -> None:
    made = box()
    made.add(A, call_id="7")
    made.settle(made.next(), retry_after(20.0))
    due = made.now + 20.0
    made.pass_time(0.5)
    made.add(A)
    attempt = made.next()
    assert made.now == due
    made.add(A)
    assert made.settle(attempt, retry_after(20.0)).retry_in == pytest.approx(20.0)


# Links.


def test_a_newer_state_inherits_the_link_that_it_lacks() -> None:
    made = box()
    made.add(A, call_id="7", agent="Zoe")
    made.add(A)
    assert link_of(made.next()) == ("7", "Zoe")


def test_the_newest_call_id_and_agent_of_a_chain_are_carried() -> None:
    made = box()
    made.add(A, call_id="7")
    made.add(A)
    made.add(A, agent="Zoe")
    made.add(A)
    assert link_of(made.next()) == ("7", "Zoe")


@pytest.mark.parametrize(("call_id", "agent"), [("8", None), (None, "Yves"), ("8", "Zoe")])
def test_a_link_that_contradicts_is_not_inherited(call_id: str | None, agent: str | None) -> None:
    made = box()
    made.add(A, call_id="7", agent="Zoe")
    made.add(A, call_id=call_id, agent=agent)
    assert link_of(made.next()) == (call_id, agent)
    assert made.committable == 1


@pytest.mark.parametrize(("apart", "inherited"), [(LINK_LASTS, "7"), (LINK_LASTS + 1.0, None)])
def test_a_link_of_a_record_that_is_more_than_a_day_older_is_not_inherited(apart: float, inherited: str | None) -> None:
    made = box()
    made.add(A, call_id="7", age=apart)
    made.add(A)
    assert link_of(made.next())[0] == inherited


def test_a_link_is_as_old_as_its_record_however_long_the_chain() -> None:
    made = box()
    made.add(A, call_id="7", age=LINK_LASTS + 10.0)
    made.add(A, age=LINK_LASTS / 2)
    made.add(A)
    assert link_of(made.next()) == (None, None)


def test_the_offset_of_a_record_whose_link_is_carried_is_not_passed_before_the_carrier_settles() -> None:
    made = box()
    made.add(A, call_id="7")
    made.add(A)
    made.add(A)
    assert (made.committable, made.deliveries.unsettled) == (0, 2)
    assert made.deliveries.counts.collapsed == {"cart": 1}
    made.settle(made.next())
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending_bytes) == (3, 0, 0)
    assert (made.deliveries.counts.collapsed, made.deliveries.counts.delivered) == ({"cart": 2}, {"cart": 1})


def test_a_thousand_clicks_of_a_caller_hold_two_records_of_the_link_at_most() -> None:
    made = box()
    made.add(A, call_id="7")
    made.add(A, agent="Zoe")
    for _ in range(1000):
        made.add(A)
    assert made.deliveries.unsettled == 3
    assert made.deliveries.pending_bytes < 3 * (OVERHEAD + 1000)


def test_a_link_in_flight_is_inherited_only_if_the_request_fails() -> None:
    made = box()
    made.add(A, call_id="7")
    first = made.next()
    made.add(A)
    made.settle(first, TIMED_OUT)
    second = made.next()
    assert link_of(second) == ("7", None)
    assert made.committable == 0
    made.add(A)
    made.settle(second, DELIVERED)
    assert link_of(made.next()) == (None, None)
    assert made.committable == 2


def test_an_emptied_cart_lets_go_of_the_link_with_the_state() -> None:
    made = box()
    made.add(A, call_id="7")
    made.add(A)
    made.empty(A)
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending_bytes) == (3, 0, 0)


def test_a_letter_holds_back_the_record_whose_link_it_carries() -> None:
    made = box(dead_letters=True)
    made.add(A, call_id="7")
    made.add(A)
    made.settle(made.next(), REJECTED)
    assert made.committable == 0
    (letter,) = made.deliveries.letters.take(made.now, 10)
    made.deliveries.letter_written(letter)
    assert (made.committable, made.deliveries.unsettled) == (2, 0)


def test_a_partition_that_goes_releases_carried_records_too() -> None:
    made = box()
    made.add(A, call_id="7")
    made.add(A)
    assert made.lose(P0) == 2
    assert (made.deliveries.pending, made.deliveries.pending_bytes) == (0, 0)


def test_a_log_that_lost_the_carrier_lets_go_of_the_carried_record() -> None:
    made = box()
    made.add(A, call_id="7")
    made.add(B)
    made.add(A)
    made.deliveries.advance(P0, 2, made.now)
    made.deliveries.committed({P0: 1}, made.now)
    assert made.committable == 1
    made.deliveries.set_end(P0, 2, made.now)
    assert made.next().entity == B
    assert made.deliveries.counts.consumed.total() == made.deliveries.counts.settled() + made.deliveries.unsettled


# Too many.


def test_that_most_events_are_calls_is_said_once_and_again_after_it_has_ended() -> None:
    share = CallShare(every=100)
    assert share.add(99, 99) is None
    assert share.add(1, 0) == 0.99
    assert share.add(100, 100) is None
    assert share.add(100, 50) is None
    assert share.add(100, 51) == 0.51
