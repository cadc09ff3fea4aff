"""A group without committed offsets reads all that its topics hold, which nobody may have meant: it is said at once."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from worker.core.state import Partition
from worker.ports import LogEnd, Record

log = structlog.get_logger(__name__)

#: Partitions whose first record, or log end, does not come for so long are left out of what is said (s).
_PATIENCE = 10.0


@dataclass(slots=True)
class Backfill:
    """Collects the partitions that come without a committed offset, and warns once how many records wait in them."""

    #: Whether there are any.
    waits: bool = False
    _first: dict[Partition, Record | None] = field(default_factory=dict)
    _until: float = 0.0

    def begin(self, partitions: Iterable[Partition], now: float) -> None:
        """The group has no committed offset for these."""
        for partition in partitions:
            self._first.setdefault(partition, None)
            self.waits, self._until = True, now + _PATIENCE

    def read(self, partition: Partition, record: Record) -> None:
        """Takes note of a record of the partition, if it is the first one."""
        if partition in self._first and self._first[partition] is None:
            self._first[partition] = record

    def tell(
        self,
        ends: Mapping[Partition, LogEnd],
        positions: Mapping[Partition, int | None],
        rate: float | None,
        now: float,
    ) -> None:
        """Warns as soon as all is known. `positions`: of what is owned.

        `rate`: this worker's, in requests a second; None: no limit, 0: not known yet.
        """
        if not self.waits:
            return
        self._first = {partition: first for partition, first in self._first.items() if partition in positions}
        unknown = [
            at for at, first in self._first.items() if first is None and not _at_end(ends.get(at), positions[at])
        ]
        if (unknown or rate == 0 or not self._first.keys() <= ends.keys()) and now < self._until:
            return
        found = {at: first for at, first in self._first.items() if first is not None and at in ends}
        self.waits, self._first = False, {}
        records = sum(max(0, ends[at].high_watermark - first.offset) for at, first in found.items())
        if records:
            _warn(found.values(), records, rate)


def _at_end(end: LogEnd | None, position: int | None) -> bool:
    """Nothing of it waits, or nothing that can be read."""
    return end is not None and position is not None and position >= end.last_stable


def _warn(firsts: Collection[Record], records: int, rate: float | None) -> None:
    oldest = min((first.timestamp for first in firsts if first.timestamp >= 0), default=None)
    log.warning(
        "the group has no committed offset: the worker sends what the topics hold already",
        records=records,
        since=None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC).isoformat(timespec="seconds"),
        seconds_at_most=round(records / rate) if rate else None,
        to_do="to skip it, stop the workers and run `optico-worker replay --to-latest --execute`; or set"
        " KAFKA_AUTO_OFFSET_RESET=latest for a group's first start",
    )
