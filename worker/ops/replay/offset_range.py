"""The range of a replay beside the worker: which records of which partitions name the entities that are sent."""

from dataclasses import dataclass, replace

from worker.adapters.kafka.admin import Admin
from worker.core.state import Partition
from worker.ops.replay.log import Selection, UsageError, locate, logs, select
from worker.ops.replay.targets import Latest, Offsets, Place
from worker.ops.transactions import held_up
from worker.settings import Kafka


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """A partition's records from `start` to before `stop`. `remark`: where that is not what was asked for.

    `held_up`: an open transaction is why it ends there.
    """

    start: int
    stop: int
    remark: str = ""
    held_up: bool = False

    def __len__(self) -> int:
        return self.stop - self.start


def spans(
    admin: Admin, settings: Kafka, start: Place, stop: Place | None, selection: Selection
) -> dict[Partition, OffsetRange]:
    """The range in each partition that is read; without `stop`, up to the end as it is now.

    Raises UsageError, CommandError, UnavailableError, FatalError.
    """
    of = logs(admin, select(admin, settings.topics, selection))
    starts = locate(admin, start, of)
    stops = locate(admin, stop or Latest(), of)
    if isinstance(start, Offsets) and isinstance(stop, Offsets):
        _same_partitions(start, stop)
    if isinstance(stop, Offsets):
        starts = {partition: starts[partition] for partition in stops}
    found = {}
    for partition in sorted(starts):
        log, asked, until = of[partition], starts[partition], stops[partition]
        first = log.end if asked is None else log.clamp(asked)
        last = log.end if until is None else log.clamp(until)
        clamped = [offset for offset in (asked, until) if offset is not None and log.clamp(offset) != offset]
        bounds = f"the log holds {log.begin} to {log.end}"
        remark = f"{', '.join(map(str, clamped))}: {bounds}, clamped" if clamped else ""
        found[partition] = OffsetRange(first, max(first, last), remark)
    for partition, held in held_up(admin, [at for at, span in found.items() if span.stop == of[at].end]).items():
        span = found[partition]
        remark = "; ".join(filter(None, (span.remark, f"{held}; nothing of them is replayed before it ends")))
        found[partition] = replace(span, remark=remark, held_up=True)
    return found


def _same_partitions(start: Offsets, stop: Offsets) -> None:
    for partition in sorted(start.by_partition.keys() ^ stop.by_partition.keys()):
        raise UsageError(f"{partition.topic}:{partition.partition} has only one of --from and --to; give both or none")
