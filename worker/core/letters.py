"""Events that are rejected for good and wait until their dead letter is acknowledged. Pure."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.core.event import Kind
from worker.core.state import QueuedEvent


@dataclass(slots=True, eq=False)
class Letter:
    """What the dead letter of an event says. `kind` and `id` are those that could be read of it."""

    event: QueuedEvent
    kind: Kind | str
    id: str | None
    reason: str
    message: str
    attempts: int


@dataclass(slots=True)
class Letters:
    """A queue in order of rejection. After a failure all wait: it is the topic that fails, not the letter."""

    delay: Callable[[int], float]
    failing: bool = False
    not_before: float = 0.0
    _queue: deque[Letter] = field(default_factory=deque)
    _out: set[Letter] = field(default_factory=set)
    _tries: int = 0

    def __len__(self) -> int:
        return len(self._queue) + len(self._out)

    def add(self, letter: Letter) -> None:
        self._queue.append(letter)

    def take(self, now: float, most: int) -> list[Letter]:
        """Letters to send now; each is to be given back by `done` or `failed`."""
        if now < self.not_before:
            return []
        taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        self._out.update(taken)
        return taken

    def done(self, letter: Letter) -> None:
        self._out.discard(letter)
        self.failing = False
        self._tries = 0

    def failed(self, letters: list[Letter], now: float) -> None:
        """They go back to the front, in their order."""
        self._out.difference_update(letters)
        self._queue.extendleft(reversed([letter for letter in letters if letter.event.owner.alive]))
        self.failing = bool(self._queue)
        self.not_before = now + self.delay(self._tries)
        self._tries += 1

    def release(self) -> None:
        """Forgets the letters of dead assignments: the next owner reads, and rejects, their records again."""
        self._queue = deque(letter for letter in self._queue if letter.event.owner.alive)
        self.failing = self.failing and bool(self._queue)

    def wake_at(self, now: float) -> float | None:
        return max(now, self.not_before) if self._queue else None
