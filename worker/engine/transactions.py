"""Which partitions an open transaction holds up.

Nothing at or after the last stable offset can be read before the transaction there has ended. A healthy producer that
writes exactly once nearly always has one open, but its offset moves on between two samples.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog

from worker.core.state import Partition
from worker.ports import LogEnd

log = structlog.get_logger(__name__)

#: From then on an operator is told (s).
WARN_AFTER = 60.0


@dataclass(slots=True)
class _Standstill:
    """`since`: the first sample with this last stable offset below the log end; `until`: the last one."""

    offset: int
    since: float
    until: float
    warned: bool = False


@dataclass(slots=True)
class OpenTransactions:
    """Times are monotonic seconds."""

    _standstills: dict[Partition, _Standstill] = field(default_factory=dict)

    def sample(self, ends: Mapping[Partition, LogEnd], owned: Collection[Partition], now: float) -> None:
        """Takes over a sample of log ends. Warns once about each transaction that stays open for WARN_AFTER."""
        for partition in [partition for partition in self._standstills if partition not in owned]:
            del self._standstills[partition]
        for partition, end in ends.items():
            if partition in owned:
                self._sample(partition, end, now)

    def seconds(self) -> dict[Partition, float]:
        """How long the last stable offset has stood still below the log end, where it does."""
        return {partition: still.until - still.since for partition, still in self._standstills.items()}

    def _sample(self, partition: Partition, end: LogEnd, now: float) -> None:
        still = self._standstills.get(partition)
        if still is not None and (end.last_stable != still.offset or end.high_watermark <= end.last_stable):
            del self._standstills[partition]
            if still.warned:
                log.info("the open transaction has ended", **_at(partition, still.offset))
            still = None
        if end.high_watermark <= end.last_stable:
            return
        if still is None:
            self._standstills[partition] = _Standstill(end.last_stable, now, now)
            return
        still.until = now
        if now - still.since >= WARN_AFTER and not still.warned:
            still.warned = True
            log.warning(
                "an open transaction holds up a partition: nothing from this offset on can be read before it ends",
                **_at(partition, still.offset),
                seconds=round(now - still.since),
                held_up=end.high_watermark - end.last_stable,
                to_do="kafka-transactions.sh find-hanging names its producer; end it there, or abort it",
            )


def _at(partition: Partition, offset: int) -> dict[str, str | int]:
    return {"topic": partition.topic, "partition": partition.partition, "offset": offset}
