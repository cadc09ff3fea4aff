"""No thread dies, and none hangs, in silence."""

import threading
from typing import Any

import pytest

from tests.brokers.tools import wait_until
from tests.core.support import box
from tests.engine.test_desk import a_desk, add
from worker.engine import crew as crew_module
from worker.engine.crew import Crew
from worker.engine.desk import Desk
from worker.engine.view import View
from worker.ports import Membership


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crew(clock: Clock) -> Crew:
    desk = a_desk()
    desk.clock = clock
    return Crew(desk, View(beat_at=clock.now), request_timeout=5.0, rebalance_timeout=60.0)


def test_a_thread_that_dies_fails_the_worker_and_says_which(crew: Crew) -> None:
    def work() -> None:
        raise ZeroDivisionError("planted")

    crew.start("sender-3", work)
    assert crew.failed.wait(5)
    assert crew.failure == "thread sender-3 died: ZeroDivisionError: planted"


def test_a_thread_that_ends_before_its_time_fails_the_worker(crew: Crew) -> None:
    crew.start("sender-0", lambda: None)
    assert crew.failed.wait(5)
    assert crew.failure is not None
    assert "sender-0 ended before its time" in crew.failure


def test_threads_may_end_once_they_are_dismissed(crew: Crew) -> None:
    crew.dismiss()
    crew.start("sender-0", lambda: None)
    assert crew.join(5) == []
    assert crew.failure is None


def test_threads_that_stay_are_named(crew: Crew) -> None:
    stop = threading.Event()
    crew.dismiss()

    def work() -> None:
        stop.wait(10)

    crew.start("sender-0", work)
    assert crew.join(0) == ["sender-0"]
    stop.set()
    wait_until(lambda: crew.join(0) == [], "the thread to end")


def test_letters_that_do_not_come_back_are_a_failure(clock: Clock) -> None:
    made = box(dead_letters=True)
    made.refuse()
    desk = Desk(made.outbox, clock)
    crew = Crew(desk, View(beat_at=float("inf")), request_timeout=5.0, rebalance_timeout=60.0)
    letters = desk.take_letters()
    assert letters
    clock.now += crew_module.LETTERS_OVERDUE + 1
    assert "dead letters" in str(crew.stalled())
    desk.letters_written(letters, [])
    assert crew.stalled() is None


def test_a_poll_loop_that_stands_still_is_a_failure(crew: Crew, clock: Clock) -> None:
    clock.now += crew_module.POLL_STALLED_AFTER - 1
    crew.inspect()
    assert not crew.failed.is_set()
    clock.now += 2
    crew.inspect()
    assert "poll loop" in str(crew.failure)


def test_a_request_that_never_comes_back_is_a_failure(crew: Crew, clock: Clock) -> None:
    add(crew.desk, 0, "a")
    assert crew.desk.take() is not None
    clock.now += 5 + crew_module.REQUEST_OVERDUE - 1
    crew.view.beat_at = clock.now
    assert crew.stalled() is None
    clock.now += 2
    crew.view.beat_at = clock.now
    assert "a request has not come back" in str(crew.stalled())


@pytest.mark.parametrize("rebalance_timeout", [60.0, 300.0])
def test_a_group_that_never_gets_stable_is_a_failure_but_an_absent_one_is_not(
    crew: Crew, clock: Clock, rebalance_timeout: float
) -> None:
    """Where sessions are long, the group waits as long for a member that has died."""
    crew.rebalance_timeout = rebalance_timeout
    at_most = rebalance_timeout + crew_module.REBALANCE_OVERDUE

    def after(membership: Membership, seconds: float) -> Any:
        crew.view.note_membership(membership, clock.now)
        clock.now += seconds
        crew.view.beat_at = clock.now
        crew.inspect()
        return crew.failure

    assert after(Membership.DISCONNECTED, 10_000) is None
    assert after(Membership.JOINING, at_most - 1) is None
    assert after(Membership.STABLE, 10_000) is None
    assert "stable" in after(Membership.JOINING, at_most + 1)
