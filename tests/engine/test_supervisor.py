"""No thread dies, and none hangs, in silence."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.brokers.tools import wait_until
from tests.core.support import box
from tests.engine.test_sending_loop import a_queue, add
from worker.engine import shared_queue
from worker.engine import supervisor as supervisor_module
from worker.engine.poll_status import PollStatus
from worker.engine.shared_queue import SharedQueue
from worker.engine.supervisor import Supervisor
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
def supervisor(clock: Clock) -> Supervisor:
    queue = a_queue()
    queue.clock = clock
    return Supervisor(queue, PollStatus(heartbeat_at=clock.now), request_timeout=5.0, rebalance_timeout=60.0)


def test_a_thread_that_dies_fails_the_worker_and_says_which(supervisor: Supervisor) -> None:
    def work() -> None:
        raise ZeroDivisionError("planted")

    supervisor.start("sender", work)
    assert supervisor.failed.wait(60)
    assert supervisor.failure == "thread sender died: ZeroDivisionError: planted"


def test_a_thread_that_ends_before_its_time_fails_the_worker(supervisor: Supervisor) -> None:
    supervisor.start("sender", lambda: None)
    assert supervisor.failed.wait(60)
    assert supervisor.failure is not None
    assert "sender ended before its time" in supervisor.failure


def test_threads_may_end_once_that_is_allowed(supervisor: Supervisor) -> None:
    supervisor.allow_exit()
    supervisor.start("sender", lambda: None)
    assert supervisor.join(5) == []
    assert supervisor.failure is None


def test_threads_that_stay_are_named(supervisor: Supervisor) -> None:
    stop = threading.Event()
    supervisor.allow_exit()

    def work() -> None:
        stop.wait(10)

    supervisor.start("sender", work)
    assert supervisor.join(0) == ["sender"]
    stop.set()
    wait_until(lambda: supervisor.join(0) == [], "the thread to end")


def test_letters_that_do_not_come_back_are_a_failure(clock: Clock) -> None:
    made = box(dead_letters=True)
    made.refuse()
    queue = SharedQueue(made.deliveries, clock, letters_at_once=10)
    supervisor = Supervisor(queue, PollStatus(heartbeat_at=float("inf")), request_timeout=5.0, rebalance_timeout=60.0)
    letters = queue.turn([], concurrency=1).letters
    assert letters
    clock.now += supervisor_module.LETTERS_OVERDUE + 1
    queue.sender_seen_at = clock.now
    assert "dead letters" in str(supervisor.stalled())
    queue.letters_written(letters, [])
    assert supervisor.stalled() is None


def test_a_poll_loop_that_stands_still_is_a_failure(supervisor: Supervisor, clock: Clock) -> None:
    clock.now += supervisor_module.POLL_STALLED_AFTER - 1
    supervisor.check()
    assert not supervisor.failed.is_set()
    clock.now += 2
    supervisor.check()
    assert "poll loop" in str(supervisor.failure)


def test_a_sending_loop_that_is_stuck_is_a_failure(supervisor: Supervisor, clock: Clock) -> None:
    supervisor.queue.turn([], concurrency=1)
    clock.now += supervisor_module.SENDING_STALLED_AFTER - 1
    supervisor.view.heartbeat_at = clock.now
    assert supervisor.stalled() is None
    clock.now += 2
    supervisor.check()
    assert "sending loop" in str(supervisor.failure)


def test_a_thread_that_is_stuck_with_the_queue_in_its_hands_is_a_failure(
    supervisor: Supervisor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the watchdog nor the end of the process waits for it as well."""
    monkeypatch.setattr(supervisor_module, "LOCKED_AT_MOST", 0.01)
    monkeypatch.setattr(shared_queue, "LOCKED_AT_MOST", 0.01)

    def returns(work: Callable[[], None]) -> bool:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(5)
        return not thread.is_alive()

    supervisor.queue.turn([], concurrency=1)
    with supervisor.queue.locked():
        assert returns(supervisor.check), "the watchdog hangs"
        assert supervisor.failure is None
        clock.now += supervisor_module.SENDING_STALLED_AFTER + 1
        supervisor.view.heartbeat_at = clock.now
        supervisor.check()
        assert returns(supervisor.queue.close), "the end hangs"
    assert "sending loop" in str(supervisor.failure)


def test_a_sending_loop_that_was_told_to_end_is_not_stuck(supervisor: Supervisor, clock: Clock) -> None:
    """The last commit of a drain may wait for another member for longer than a loop may be silent."""
    supervisor.queue.turn([], concurrency=1)
    supervisor.queue.close()
    clock.now += supervisor_module.SENDING_STALLED_AFTER + 1
    supervisor.view.heartbeat_at = clock.now
    supervisor.check()
    assert supervisor.failure is None


def test_a_request_that_never_comes_back_is_a_failure(supervisor: Supervisor, clock: Clock) -> None:
    add(supervisor.queue, 0, "a")
    assert supervisor.queue.turn([], concurrency=1).started
    clock.now += 5 + supervisor_module.REQUEST_OVERDUE - 1
    supervisor.view.heartbeat_at = supervisor.queue.sender_seen_at = clock.now
    assert supervisor.stalled() is None
    clock.now += 2
    supervisor.view.heartbeat_at = supervisor.queue.sender_seen_at = clock.now
    assert "a request has not come back" in str(supervisor.stalled())


@pytest.mark.parametrize("rebalance_timeout", [60.0, 300.0])
def test_a_group_that_never_gets_stable_is_a_failure_but_an_absent_one_is_not(
    supervisor: Supervisor, clock: Clock, rebalance_timeout: float
) -> None:
    """Where sessions are long, the group waits as long for a member that has died."""
    supervisor.rebalance_timeout = rebalance_timeout
    at_most = rebalance_timeout + supervisor_module.REBALANCE_OVERDUE

    def after(membership: Membership, seconds: float) -> Any:
        supervisor.view.note_membership(membership, clock.now)
        clock.now += seconds
        supervisor.view.heartbeat_at = clock.now
        supervisor.check()
        return supervisor.failure

    assert after(Membership.DISCONNECTED, 10_000) is None
    assert after(Membership.JOINING, at_most - 1) is None
    assert after(Membership.STABLE, 10_000) is None
    assert "stable" in after(Membership.JOINING, at_most + 1)
