"""The desk: the outbox behind one lock, and the senders that wait at it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from worker.core.lane import Delivery
from worker.core.letters import Letter
from worker.core.outbox import Outbox
from worker.core.outcome import Outcome
from worker.core.rules import Settled

#: Letters in one batch for the dead-letter topic.
LETTERS_AT_ONCE = 100


class Desk:
    """Shares an outbox between the intake, the senders, the dead letters and whoever looks at it.

    One sender waits with an alarm for the next event that is due; the others wait without. Who takes something wakes
    the next one, so that a completion starts the next request at once and nobody wakes for nothing.
    """

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._outbox = outbox
        self._lock = threading.Lock()
        self._due = threading.Condition(self._lock)
        self._mail = threading.Condition(self._lock)
        self._alarm: float | None = None
        #: When letters were handed out that did not come back yet.
        self.letters_since: float | None = None
        self._closed = False

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """The outbox, for as long as it takes: nothing slow in here. Wakes a sender if something is due sooner."""
        with self._lock:
            yield self._outbox
            self._wake()

    def take(self) -> Delivery | None:
        """Blocks until there is a request to make; None: the desk is closed."""
        with self._lock:
            while not self._closed:
                now = self.clock()
                delivery = self._outbox.take(now)
                if delivery is not None:
                    self._due.notify()
                    return delivery
                self._wait(self._outbox.wake_at(now), now)
            return None

    def settle(self, delivery: Delivery, outcome: Outcome) -> Settled:
        with self._lock:
            settled = self._outbox.settle(delivery, outcome, self.clock())
            if settled.changes or outcome.retry_after is not None:
                self._due.notify()
            if len(self._outbox.letters):
                self._mail.notify()
            return settled

    def take_letters(self) -> list[Letter] | None:
        """Blocks until there are dead letters to write; None: the desk is closed."""
        with self._lock:
            while not self._closed:
                now = self.clock()
                letters = self._outbox.letters.take(now, LETTERS_AT_ONCE)
                if letters:
                    self.letters_since = now
                    return letters
                wake_at = self._outbox.letters.wake_at(now)
                self._mail.wait(None if wake_at is None else max(0.0, wake_at - now))
            return None

    def letters_written(self, written: list[Letter], failed: list[Letter]) -> None:
        with self._lock:
            self.letters_since = None
            for letter in written:
                self._outbox.letter_written(letter)
            if failed:
                self._outbox.letters.failed(failed, self.clock())

    def close(self) -> None:
        """Sends everybody home."""
        with self._lock:
            self._closed = True
            self._due.notify_all()
            self._mail.notify_all()

    def _wake(self) -> None:
        wake_at = self._outbox.wake_at(self.clock())
        if wake_at is not None and (self._alarm is None or wake_at < self._alarm):
            self._due.notify()
        if len(self._outbox.letters):
            self._mail.notify()

    def _wait(self, wake_at: float | None, now: float) -> None:
        if wake_at is None or wake_at == float("inf") or (self._alarm is not None and self._alarm <= wake_at):
            self._due.wait()
            return
        self._alarm = wake_at
        self._due.wait(max(0.0, wake_at - now))
        if self._alarm == wake_at:
            self._alarm = None
