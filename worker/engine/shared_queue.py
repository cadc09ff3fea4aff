"""The delivery queue behind one short lock, shared by the poll loop, the sending loop, dead letters and whoever looks.

Nobody waits in here: the sending loop is woken through a callback, and only for what is due sooner than it expects.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final, NamedTuple

from worker.core.lane import Delivery
from worker.core.letters import Letter
from worker.core.outbox import Outbox
from worker.core.outcome import Outcome
from worker.core.rules import Settled

#: Dead letters in one batch for their topic.
LETTERS_AT_ONCE: Final = 100
_NEVER: Final = float("inf")
#: Whoever sends looks again by itself, whatever is due.
_AWAKE: Final = -_NEVER


class Turn(NamedTuple):
    """What a turn of the sending loop brought.

    `settled` is in the order of the outcomes, `started` are the requests to make now. `wake_at`: when the next turn is
    due, if nothing else brings one (monotonic seconds, never in the past); None: nothing but an event or an answer.
    """

    settled: Sequence[Settled]
    started: Sequence[Delivery]
    wake_at: float | None
    now: float


class SharedQueue:
    """Thread-safe. `wake` is called under the lock, from any thread; it must be quick and not call back."""

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._outbox = outbox
        self._lock = threading.Lock()
        self._mail = threading.Condition(self._lock)
        self._wake: Callable[[], None] = lambda: None
        #: When the sending loop looks again by itself.
        self._alarm = _AWAKE
        #: When the sending loop last turned (monotonic seconds); None: it does not run yet.
        self.sender_seen_at: float | None = None
        #: When letters were handed out that did not come back yet.
        self.letters_since: float | None = None
        self.closed = False

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """The queue itself, for as long as it takes: nothing slow in here. Wakes whoever has something to do then."""
        with self._lock:
            yield self._outbox
            wake_at = self._outbox.wake_at(self.clock())
            if wake_at is not None and wake_at < self._alarm:
                self._wake_sender()
            if len(self._outbox.letters):
                self._mail.notify()

    # The sending loop.

    def on_wake(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._wake = wake

    def turn(self, answered: Sequence[tuple[Delivery, Outcome]], concurrency: int) -> Turn:
        """Settles what was answered, and starts what is due, as long as fewer than `concurrency` are in flight."""
        with self._lock:
            outbox, now = self._outbox, self.clock()
            settled = [outbox.settle(delivery, outcome, now) for delivery, outcome in answered]
            started: list[Delivery] = []
            wake_at, self._alarm = None, _AWAKE
            if not self.closed:
                room = concurrency - outbox.in_flight
                while room > 0 and (delivery := outbox.take(now)) is not None:
                    started.append(delivery)
                    room -= 1
                if room > 0:  # else the next answer brings the next turn
                    wake_at = outbox.wake_at(now)
                    self._alarm = _NEVER if wake_at is None else wake_at
            if answered and len(outbox.letters):
                self._mail.notify()
            self.sender_seen_at = now
            return Turn(settled, started, wake_at, now)

    # Dead letters.

    def take_letters(self) -> list[Letter] | None:
        """Blocks until there are dead letters to write; None: the queue is closed."""
        with self._lock:
            while not self.closed:
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
        """Nothing starts any more; the sending loop and the writer of dead letters end."""
        with self._lock:
            self.closed = True
            self._wake_sender()
            self._mail.notify_all()

    def _wake_sender(self) -> None:
        self._alarm = _AWAKE
        self._wake()
