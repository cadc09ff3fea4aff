"""The supervisor of the worker's threads: none dies, and none hangs, without the process ending loudly."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from worker.engine.poll_status import PollStatus
from worker.engine.shared_queue import LOCKED_AT_MOST, SharedQueue

log = structlog.get_logger(__name__)

#: The poll loop turns in fractions of a second, and waits for requests in flight when partitions are revoked.
POLL_STALLED_AFTER = 60.0
#: Beyond what a rebalance may take: a member that the group can't settle with by then, though its coordinator answers.
REBALANCE_OVERDUE = 90.0
#: The sending loop turns once a second at least, and does nothing in between that takes long.
SENDING_STALLED_AFTER = 30.0
#: Beyond a request's deadline: one that is still in flight then will not come back.
REQUEST_OVERDUE = 30.0
#: Letters are written, or come back, within half a minute; longer only where each of them must be written alone.
LETTERS_OVERDUE = 300.0


@dataclass(slots=True)
class Supervisor:
    """Starts threads and notices what becomes of them. Thread-safe where it must be: `failure` is set once.

    `request_timeout` is a request's deadline, `rebalance_timeout` how long the group waits for its slowest member (s).
    """

    queue: SharedQueue
    view: PollStatus
    request_timeout: float
    rebalance_timeout: float
    failure: str | None = None
    failed: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _may_end: bool = False

    def start(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Runs the work on a thread of that name. If it raises, or ends before its time, the worker has failed."""
        thread = threading.Thread(target=self._run, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def allow_exit(self) -> None:
        """From now on threads may end."""
        self._may_end = True

    def join(self, timeout: float) -> list[str]:
        """Waits that long for all of them together; returns the names of those that are still there."""
        until = self.queue.clock() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - self.queue.clock()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def fail(self, why: str) -> None:
        if self.failure is None:
            self.failure = why
            log.critical("the worker has failed", reason=why)
        self.failed.set()

    def stalled(self) -> str | None:
        """What does not turn over any more; None: all is well. Neither Kafka nor the API being away is a stall."""
        now = self.queue.clock()
        if self.failure is not None:
            return self.failure
        if now - self.view.heartbeat_at > POLL_STALLED_AFTER:
            return f"the poll loop has not turned for {now - self.view.heartbeat_at:.0f} s"
        return None if self.queue.closed else self._sending_stalled(now)  # closed: whoever closed it awaits its end

    def check(self) -> None:
        """The watchdog's round."""
        stalled = self.stalled()
        if stalled is not None:
            self.fail(stalled)
        since, at_most = self.view.unstable_since, self.rebalance_timeout + REBALANCE_OVERDUE
        if since is not None and self.queue.clock() - since > at_most:
            self.fail(f"the consumer group has not become stable for {at_most:.0f} s")

    def _sending_stalled(self, now: float) -> str | None:
        if (seen := self.queue.sender_seen_at) is not None and now - seen > SENDING_STALLED_AFTER:
            return f"the sending loop has not turned for {now - seen:.0f} s"
        try:
            with self.queue.locked(LOCKED_AT_MOST) as deliveries:
                started, letters_since = deliveries.oldest_start(), self.queue.letters_since
        except TimeoutError:
            return None  # whoever holds it stops the sending loop, which is seen above before long
        if started is not None and now - started > self.request_timeout + REQUEST_OVERDUE:
            return f"a request has not come back for {now - started:.0f} s"
        if letters_since is not None and now - letters_since > LETTERS_OVERDUE:
            return f"dead letters have been on their way for {now - letters_since:.0f} s"
        return None

    def _run(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            log.critical("a thread died", thread=name, exc_info=True)
            self.fail(f"thread {name} died: {type(error).__name__}: {error}")
            return
        if not self._may_end:
            self.fail(f"thread {name} ended before its time")
