"""When which queue is due: a heap in which an entry is dropped by forgetting its token."""

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from worker.core.state import EntityQueue

#: Below this many stale entries a clean-up is not worth its time.
_STALE_ENTRIES = 1000


@dataclass(slots=True)
class Schedule:
    """`_next_token`: odd in one schedule and even in another, so that a queue may change from one to the other."""

    _heap: list[tuple[float, int, EntityQueue]] = field(default_factory=list)
    _next_token: int = 1
    _live: int = 0

    def put(self, queue: EntityQueue, due: float) -> None:
        """Schedules the queue, in place of its former entry."""
        if queue.token == 0:
            self._live += 1
        queue.token = self._next_token
        self._next_token += 2
        heappush(self._heap, (due, queue.token, queue))
        if len(self._heap) > 2 * self._live + _STALE_ENTRIES:
            self._heap = [entry for entry in self._heap if entry[2].token == entry[1]]
            heapify(self._heap)

    def drop(self, queue: EntityQueue) -> None:
        if queue.token != 0:
            queue.token = 0
            self._live -= 1

    def first(self) -> tuple[float, EntityQueue] | None:
        """The queue that is due first and when, without taking it out."""
        heap = self._heap
        while heap:
            due, token, queue = heap[0]
            if queue.token == token:
                return due, queue
            heappop(heap)
        return None
