"""Open transactions: what stands behind the first record of one can't be read before it has ended."""

import time
from collections.abc import Collection, Mapping

from worker.adapters.kafka.admin import Admin
from worker.core.state import Partition

#: So long the open transactions of a partition are waited for, once a run (s).
PATIENCE = 30.0
_PAUSE = 0.1


class Transactions:
    """Waits for those that are in the way. Raises as `Admin` does."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._waited_in_vain: set[Partition] = set()

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The offset behind all that is written, readable or not."""
        return self._admin.high_watermarks(partitions)

    def wait(self, ends: Mapping[Partition, int]) -> set[Partition]:
        """Blocks until all before these offsets can be read; returns the partitions where it can't after PATIENCE."""
        deadline = time.monotonic() + PATIENCE
        while closed := self._closed(ends):
            if time.monotonic() >= deadline or closed <= self._waited_in_vain:
                self._waited_in_vain |= closed
                break
            _pause()
        return closed

    def _closed(self, ends: Mapping[Partition, int]) -> set[Partition]:
        return {at for at, end in self._admin.ends(ends).items() if end < ends[at]}


def _pause() -> None:
    time.sleep(_PAUSE)
