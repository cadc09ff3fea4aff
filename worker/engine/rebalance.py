"""What a rebalance does to the delivery queue. Called on the consumer client's own thread."""

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from worker.core.state import Partition
from worker.engine.shared_queue import SharedQueue

log = structlog.get_logger(__name__)


class Rebalancer:
    """See `worker.ports.Rebalance`. `counted(kind)` and `committed(ok)` count; both must be quick and thread-safe."""

    def __init__(
        self, queue: SharedQueue, counted: Callable[[str], None], commit_counted: Callable[[Exception | None], None]
    ) -> None:
        self._queue = queue
        self._counted = counted
        self._commit_counted = commit_counted

    def suspend(self, partitions: Iterable[Partition]) -> None:
        with self._queue.locked() as deliveries:
            deliveries.suspend(partitions)

    def busy(self, partitions: Iterable[Partition]) -> bool:
        with self._queue.locked() as deliveries:
            return deliveries.busy(partitions) > 0

    def committable(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        going = set(partitions)
        with self._queue.locked() as deliveries:
            return deliveries.last_committable(going, self._queue.clock())

    def ambiguous(self, partitions: Iterable[Partition]) -> set[Partition]:
        with self._queue.locked() as deliveries:
            return deliveries.ambiguous(partitions, self._queue.clock())

    def found_dirty(self, partitions: Iterable[Partition]) -> None:
        with self._queue.locked() as deliveries:
            deliveries.found_dirty(partitions, self._queue.clock())
        log.info("requests of the former owner may still take effect", partitions=_names(partitions))

    def committed(
        self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], error: Exception | None
    ) -> None:
        self._commit_counted(error)
        if error is None:
            with self._queue.locked() as deliveries:
                deliveries.committed(offsets, self._queue.clock(), ambiguous)
        else:
            with self._queue.locked() as deliveries:
                deliveries.doubt(offsets)
            log.warning(
                "offsets of revoked partitions were not committed; their next owner reads those events again",
                partitions=_names(offsets),
                error=str(error),
            )

    def release(self, partitions: Iterable[Partition], reason: str) -> None:
        going = list(partitions)
        with self._queue.locked() as deliveries:
            released = deliveries.release(going, reason, self._queue.clock())
        self._counted(reason)
        log.info("partitions are gone", reason=reason, partitions=_names(going), released_events=released)

    def assign(self, partitions: Iterable[Partition], *, all_of_them: bool) -> None:
        coming = list(partitions)
        with self._queue.locked() as deliveries:
            gone = set(deliveries.owned) - set(coming) if all_of_them else set()
            released = deliveries.release(gone, "revoked", self._queue.clock())
            new = deliveries.assign(coming, self._queue.clock())
        self._counted("assigned")
        if gone:
            self._counted("revoked")
            log.info("partitions are gone", reason="revoked", partitions=_names(gone), released_events=released)
        log.info("partitions are assigned", new=_names(new), kept=len(coming) - len(new) if all_of_them else None)


def _names(partitions: Iterable[Partition]) -> list[str]:
    return sorted(str(partition) for partition in partitions)
