"""The worker with a known bug planted from outside: `python -m tests.chaos.planted BUG`.

The fault suite must turn red with each of them; one that does not would prove nothing with a worker that has none.
"""

import random
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from worker.cli import cli
from worker.core.delivery_queue import DeliveryQueue
from worker.core.owned_partitions import OwnedPartitions
from worker.core.state import OwnedPartition
from worker.engine.rebalance import Rebalancer


def seen() -> None:
    """Offsets are committed once they were read, not once they are settled."""
    OwnedPartition.committable = lambda self: self.position  # type: ignore[method-assign]


def no_epoch() -> None:
    """What was released goes on as if it were still ours: it is sent, it settles, its offsets are committed."""
    committable = OwnedPartitions.committable
    zombies: dict[Any, OwnedPartition] = {}

    def release(self: DeliveryQueue, partitions: Iterable[Any], reason: str, now: float) -> int:
        del reason, now
        for partition in partitions:
            owner = self._owners.by_partition.pop(partition, None)
            if owner is not None:
                zombies[partition] = owner
                owner.suspended = False
                self._queues.unblock(owner)
        return 0

    def all_of_them(self: OwnedPartitions) -> dict[Any, int]:
        offsets = {p: o for p, owner in zombies.items() if (o := owner.committable()) is not None}
        return offsets | committable(self)

    DeliveryQueue.release = release  # type: ignore[method-assign]
    OwnedPartitions.committable = all_of_them  # type: ignore[method-assign]


def no_wait() -> None:
    """Revoked partitions are let go while their requests are in flight."""
    Rebalancer.busy = lambda self, partitions: False  # type: ignore[method-assign] # noqa: ARG005


def no_note() -> None:
    """What stands beside the committed offset is not looked at."""
    Rebalancer.found_dirty = lambda self, partitions: None  # type: ignore[method-assign] # noqa: ARG005


def clock_jumps() -> None:
    """No bug: the wall clock jumps by up to a day, forth and back. The monotonic clock does not."""
    true, draw = time.time, random.Random(1)
    time.time = lambda: true() + draw.uniform(-86_400, 86_400)


BUGS: dict[str, Callable[[], None]] = {"seen": seen, "no-epoch": no_epoch, "no-wait": no_wait, "no-note": no_note}


if __name__ == "__main__":
    (BUGS | {"clock-jumps": clock_jumps})[sys.argv[1]]()
    cli(["run"])
