"""How many large events are encoded and sent at once. Pure; `queues` asks it before a queue is handed out.

Encoding takes several times an event's size in memory, and holds the interpreter. So large events pass one after the
other, or a few of the smaller ones at once, in the order in which they were due. They take half of what may be in
flight at most: an ordinary cart finds room, however many large ones wait.
"""

from dataclasses import dataclass, field
from typing import Final

from worker.core.state import EntityQueue

#: From this size on (bytes) an event is large.
LARGE: Final = 64 * 1024
#: What large events may come to at once, at most, whatever the concurrency (bytes).
AT_ONCE_AT_MOST: Final = 4 * 1024 * 1024


@dataclass(slots=True)
class LargeEvents:
    """`at_once`: what those in flight may come to (bytes); a single one may be larger."""

    at_once: int = 16 * LARGE
    in_flight: int = 0
    _waiting: list[EntityQueue] = field(default_factory=list)

    def admits(self, size: int) -> bool:
        """Whether an event of that size may start. A large one starts after those that were not admitted before it."""
        if size < LARGE or self.in_flight == 0:
            return True
        return not self._waiting and self.in_flight + size <= self.at_once

    def wait(self, queue: EntityQueue) -> None:
        """The queue was not admitted. It is among those that the next `finish` of a large event returns."""
        self._waiting.append(queue)

    def start(self, size: int) -> None:
        if size >= LARGE:
            self.in_flight += size

    def finish(self, size: int) -> list[EntityQueue]:
        """Returns the queues that are to be scheduled again."""
        if size < LARGE:
            return []
        self.in_flight -= size
        waiting, self._waiting = self._waiting, []
        return waiting


def at_once(concurrency: int) -> int:
    """What large events may come to at once with that concurrency (bytes)."""
    return min(AT_ONCE_AT_MOST, concurrency * LARGE // 2)
