"""Committing offsets, on a tick and one at a time: the client would send several, and in any order."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from worker.core.state import Partition
from worker.engine.poll_status import PollStatus
from worker.engine.shared_queue import SharedQueue
from worker.ports import Consumer, UnavailableError

log = structlog.get_logger(__name__)

INTERVAL = 1.0
#: A commit whose answer never came is given up after this long (s), so that it does not block the next ones.
ANSWER_WITHIN = 30.0
#: Failures in a row from which on an operator is told: during a rebalance one or two are normal.
FAILURES_TO_WARN = 5


@dataclass(slots=True)
class Commits:
    queue: SharedQueue
    view: PollStatus
    _next: float = 0.0
    _failed_at: float = float("-inf")
    _asked_at: float | None = None
    _failures: int = 0

    def tick(self, consumer: Consumer, now: float) -> None:
        """Starts a commit if one is due and none is under way. Does not block. Raises FatalError.

        One is due every second, and at once where sending waits for it.
        """
        if self._asked_at is not None and now - self._asked_at < ANSWER_WITHIN:
            return
        with self.queue.locked() as deliveries:
            urgent = deliveries.awaits_dirty_marker() and now >= self._failed_at + INTERVAL
            if now < self._next and not urgent:
                return
            offsets, handovers = deliveries.committable(), deliveries.handovers
        self._next = now + INTERVAL
        if not offsets:
            return
        self._asked_at = now
        try:
            consumer.commit(offsets, lambda error: self._answered(offsets, handovers, error))
        except UnavailableError as error:
            self._answered(offsets, handovers, error)

    def now(self, consumer: Consumer, timeout: float) -> UnavailableError | None:
        """The last commit before leaving; returns why it failed, if it did. Blocks for at most `timeout` seconds."""
        now = self.queue.clock()
        with self.queue.locked() as deliveries:
            offsets = deliveries.last_committable(deliveries.owned, now)
            ambiguous = deliveries.ambiguous(deliveries.owned, now)
        if not offsets:
            return None
        try:
            consumer.commit_now(offsets, ambiguous, timeout)
        except UnavailableError as error:
            self.count(error)
            return error
        self.count(None)
        with self.queue.locked() as deliveries:
            deliveries.committed(offsets, now, ambiguous)
        return None

    def count(self, error: Exception | None) -> None:
        self.view.commits["success" if error is None else "failure"] += 1

    def _answered(self, offsets: Mapping[Partition, int], handovers: int, error: Exception | None) -> None:
        self._asked_at = None
        self.count(error)
        now = self.queue.clock()
        if error is None:
            self._failures = 0
            with self.queue.locked() as deliveries:
                if deliveries.handovers == handovers:  # else it may tell of what somebody has overwritten since
                    deliveries.committed(offsets, now)
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= FAILURES_TO_WARN and self._failures % FAILURES_TO_WARN == 0:
            log.warning("offsets can't be committed; trying again", error=str(error), failures=self._failures)
        else:
            log.debug("a commit failed; trying again", error=str(error))
