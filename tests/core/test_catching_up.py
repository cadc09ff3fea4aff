"""Catching up: a backlog is sent once an entity, in its newest state, and does not walk the API through history."""

import pytest

from tests.core.support import P0, P1, SERVER_ERROR, START, A, B, Box, C, D, box


def behind(end: int | None, **config: int) -> Box:
    made = box(partitions=(), **config)  # type: ignore[arg-type]
    made.own(P0, end=end)
    return made


def test_a_backlog_is_sent_once_an_entity_in_its_newest_state() -> None:
    made = behind(end=6)
    for entity in (A, B, A, B, A):
        made.add(entity)
        made.pass_time(5.0)
        assert made.nothing()
    made.add(B)
    made.pass_time(1.0)
    sent = {(attempt.entity, attempt.event.offset) for attempt in (made.take(), made.take())}
    assert sent == {(A, 4), (B, 5)}
    assert made.nothing()


def test_once_the_end_is_read_what_waited_is_due_at_once() -> None:
    made = behind(end=2)
    made.add(A)
    made.pass_time(10.0)
    made.skip()
    made.deliveries.advance(P0, 2, made.now)
    assert made.take().entity == A


@pytest.mark.parametrize("short", [1, 2])
def test_it_waits_until_the_very_end_was_read(short: int) -> None:
    made = behind(end=3)
    for _ in range(3 - short):
        made.add(A)
    made.pass_time(59.0)
    assert made.nothing()


def test_the_end_may_be_no_record_at_all() -> None:
    """Transaction markers and compacted offsets: only the consumer's position passes them."""
    made = behind(end=10)
    made.add(A)
    made.pass_time(10.0)
    assert made.nothing()
    made.deliveries.advance(P0, 10, made.now)
    assert made.take().entity == A


def test_while_the_end_is_unknown_events_wait() -> None:
    made = behind(end=None)
    made.add(A)
    made.pass_time(10.0)
    assert made.nothing()
    made.deliveries.set_end(P0, 1, made.now)
    assert made.take().entity == A


def test_a_partition_that_is_not_behind_does_not_hold_anything() -> None:
    made = behind(end=0)
    made.add(A)
    made.pass_time(0.5)
    assert made.take().entity == A


def test_only_the_end_at_the_assignment_counts() -> None:
    made = behind(end=1)
    made.add(A)
    made.deliveries.set_end(P0, 1_000_000, made.now)
    made.deliveries.tick(made.now)
    assert made.next().entity == A
    made.deliveries.set_end(P0, 2_000_000, made.now)
    made.add(B)
    assert made.next().entity == B


def test_a_later_end_does_not_move_the_goal() -> None:
    made = behind(end=2)
    made.deliveries.set_end(P0, 1_000_000, made.now)
    made.add(A)
    made.add(B)
    made.pass_time(0.5)
    assert {made.take().entity, made.take().entity} == {A, B}


@pytest.mark.parametrize("end", [None, 1_000_000])
def test_after_60_seconds_it_waits_no_longer(end: int | None) -> None:
    made = behind(end=end)
    made.add(A)
    made.until(START + 59.999)
    assert made.nothing()
    made.until(START + 60.0)
    assert made.take().entity == A


def test_a_bound_that_is_reached_ends_the_wait() -> None:
    made = behind(end=1_000_000, max_pending=2)
    made.add(A)
    made.pass_time(1.0)
    assert made.nothing()
    made.add(B)
    made.deliveries.tick(made.now)
    made.pass_time(0.5)
    assert {made.take().entity, made.take().entity} == {A, B}


def test_a_bound_of_bytes_ends_the_wait_too() -> None:
    made = behind(end=1_000_000, max_pending_bytes=1500)
    made.add(A)
    made.pass_time(1.0)
    assert made.nothing()
    made.add(B)
    made.pass_time(0.5)
    assert {made.take().entity, made.take().entity} == {A, B}


def test_a_pause_of_the_intake_by_letters_that_fail_ends_the_wait() -> None:
    """What is not read any more can't be waited for."""
    made = behind(end=1_000_000, dead_letters=True)
    made.add(A)
    made.refuse()
    made.pass_time(1.0)
    assert made.nothing()
    made.deliveries.letters.failed(made.deliveries.letters.take(made.now, 10), made.now)
    made.deliveries.tick(made.now)
    assert made.take().entity == A


def test_each_partition_catches_up_for_itself() -> None:
    made = behind(end=10)
    made.own(P1, end=0)
    made.add(A, P0)
    made.add(B, P1)
    assert made.next().entity == B
    made.pass_time(20.0)
    assert made.nothing()


def test_a_partition_that_stays_does_not_catch_up_again() -> None:
    made = box()
    assert made.deliveries.assign([P0], made.now) == []
    made.deliveries.set_end(P0, 1_000_000, made.now)
    made.add(A)
    assert made.next().entity == A


def test_a_partition_that_returns_catches_up_anew() -> None:
    made = box()
    made.lose(P0)
    made.pass_time(100.0)
    made.own(P0, end=2)
    made.add(A)
    made.pass_time(59.0)
    assert made.nothing()
    made.add(A)
    made.deliveries.tick(made.now)
    assert made.next().event.offset == 1


def test_a_partition_that_is_about_to_go_holds_its_events_though_it_has_caught_up() -> None:
    made = behind(end=1)
    made.deliveries.suspend([P0])
    made.add(A)
    made.deliveries.advance(P0, 1, made.now)
    made.pass_time(5.0)
    assert made.nothing()
    made.deliveries.assign([P0], made.now)
    assert made.take().entity == A


def test_a_partition_that_stays_after_all_goes_on_catching_up() -> None:
    made = behind(end=2)
    made.add(A)
    made.deliveries.suspend([P0])
    made.deliveries.assign([P0], made.now)
    made.pass_time(5.0)
    assert made.nothing()
    made.add(A)
    made.deliveries.tick(made.now)
    assert made.take().event.offset == 1


def test_an_open_breaker_does_not_probe_with_what_waits_for_a_backlog() -> None:
    made = box(partitions=(P0,))
    made.own(P1, end=100)
    made.trip()
    made.add(D, P1)
    probed = set()
    while (attempt := made.next()).event.owner.partition == P0:
        probed.add(attempt.entity)
        made.settle(attempt, SERVER_ERROR)
    assert (probed, attempt.entity) == ({A, B, C}, D)
    assert made.now >= START + 60.0
