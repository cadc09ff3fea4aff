"""Open transactions, as commands tell of them."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from worker.adapters.kafka.admin import Admin
from worker.core.state import Partition

#: A healthy producer that writes exactly once nearly always has one open; none stays open for so long (s).
_OPEN_FOR = 2.0
#: So long a redrive waits for the end of open transactions (s).
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class HeldUp:
    """An open transaction: `records`, about, from `offset` on can't be read before it ends."""

    offset: int
    records: int

    def __str__(self) -> str:
        many = f"{self.records:,} record{'' if self.records == 1 else 's'}"
        return f"an open transaction holds up {many} from offset {self.offset} on"


def held_up(admin: Admin, partitions: Collection[Partition]) -> dict[Partition, HeldUp]:
    """Partitions whose last stable offset stands still below the log end.

    Blocks for two seconds where there may be any. Raises as `Admin` does.
    """
    high, first = admin.high_watermarks(partitions), admin.ends(partitions)
    open_partitions = [at for at in partitions if first[at] < high[at]]
    if not open_partitions:
        return {}
    time.sleep(_OPEN_FOR)
    again = admin.ends(open_partitions)
    return {at: HeldUp(again[at], high[at] - again[at]) for at in open_partitions if again[at] == first[at]}


def still_open(admin: Admin, partitions: Collection[Partition]) -> list[Partition]:
    """Waits until all that is written now can be read; returns partitions where it can't, after PATIENCE seconds.

    Raises as `Admin` does.
    """
    written, deadline = admin.high_watermarks(partitions), time.monotonic() + PATIENCE
    while found := [at for at, end in admin.ends(partitions).items() if end < written[at]]:
        if time.monotonic() >= deadline:
            break
        _pause()
    return found


def _pause() -> None:
    time.sleep(0.1)
