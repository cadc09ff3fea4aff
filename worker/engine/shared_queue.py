"""The delivery queue behind one short lock, shared by the poll loop, the sending loop and whoever looks.

Nobody waits in here: the sending loop is woken through a callback, and only for what is due sooner than it expects.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final, NamedTuple

from worker.core.delivery_config import SettleResult
from worker.core.delivery_queue import DeliveryQueue
from worker.core.letters import Letter
from worker.core.outcome import Outcome
from worker.core.state import Attempt

#: Nobody holds the lock for so long (s). Whoever watches or ends the worker waits no longer: it would hang as well.
LOCKED_AT_MOST: Final = 1.0
_NEVER: Final = float("inf")
#: Whoever sends looks again by itself, whatever is due.
_AWAKE: Final = -_NEVER


class Turn(NamedTuple):
    """What a turn of the sending loop brought.

    `settled` is in the order of the outcomes, `started` are the requests to make now, `letters` the dead letters to
    write. `wake_at`: when the next turn is due, unless something else brings one before (monotonic seconds).
    """

    settled: Sequence[SettleResult]
    started: Sequence[Attempt]
    letters: list[Letter]
    wake_at: float
    now: float


class SharedQueue:
    """Thread-safe. `letters_at_once`: dead letters that are handed out together; 0: somebody else takes them."""

    def __init__(
        self, deliveries: DeliveryQueue, clock: Callable[[], float] = monotonic, *, letters_at_once: int = 0
    ) -> None:
        self.clock = clock
        self._deliveries = deliveries
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = lambda: None
        #: When the sending loop looks again by itself.
        self._alarm = _AWAKE
        #: When the sending loop last turned (monotonic seconds); None: it does not run yet.
        self.sender_seen_at: float | None = None
        self._letters_at_once = letters_at_once
        #: When letters were handed out that did not come back yet.
        self.letters_since: float | None = None
        self.closed = False

    @contextmanager
    def locked(self, patience: float = -1) -> Iterator[DeliveryQueue]:
        """The queue itself, for as long as it takes: nothing slow in here. Wakes the sending loop if need be.

        Raises TimeoutError if the lock can't be had within `patience` seconds; -1: waits for ever.
        """
        if not self._lock.acquire(timeout=patience):
            raise TimeoutError("somebody holds the delivery queue")
        try:
            yield self._deliveries
            if self._due(self.clock()) < self._alarm:
                self._wake_sender()
        finally:
            self._lock.release()

    def on_wake(self, wake: Callable[[], None]) -> None:
        """`wake` is called under the lock, from any thread; it must be quick and not call back."""
        with self._lock:
            self._wake = wake

    def turn(self, answered: Sequence[tuple[Attempt, Outcome]], concurrency: int) -> Turn:
        """Settles what was answered, and starts what is due, as long as fewer than `concurrency` are in flight."""
        with self._lock:
            deliveries, now = self._deliveries, self.clock()
            settled = [deliveries.settle(attempt, outcome, now) for attempt, outcome in answered]
            started: list[Attempt] = []
            letters: list[Letter] = []
            self._alarm, self.sender_seen_at, wake_at = _AWAKE, now, _NEVER
            if not self.closed:
                room = concurrency - deliveries.in_flight
                while room > 0 and (attempt := deliveries.take(now)) is not None:
                    started.append(attempt)
                    room -= 1
                if self._letters_at_once and self.letters_since is None:
                    letters = deliveries.letters.take(now, self._letters_at_once)
                    self.letters_since = now if letters else None
                if room > 0:  # else the next answer brings the next turn
                    self._alarm = wake_at = self._due(now)
            return Turn(settled, started, letters, wake_at, now)

    def letters_written(self, written: Sequence[Letter], failed: list[Letter]) -> None:
        """The letters of a turn came back."""
        with self._lock:
            self.letters_since = None
            for letter in written:
                self._deliveries.letter_written(letter)
            if failed:
                self._deliveries.letters.failed(failed, self.clock())

    def close(self) -> None:
        """Nothing starts any more; the sending loop ends, unless a thread is stuck with the lock in its hands."""
        self.closed = True
        if self._lock.acquire(timeout=LOCKED_AT_MOST):
            try:
                self._wake_sender()
            finally:
                self._lock.release()

    def _due(self, now: float) -> float:
        """When the sending loop has something to do, unless something happens before."""
        deliveries = self._deliveries
        due = deliveries.wake_at(now)
        if self._letters_at_once and self.letters_since is None and len(deliveries.letters):
            letters_due = deliveries.letters.wake_at(now)
            if letters_due is not None and (due is None or letters_due < due):
                return letters_due
        return _NEVER if due is None else due

    def _wake_sender(self) -> None:
        self._alarm = _AWAKE
        self._wake()
