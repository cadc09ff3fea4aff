"""What a replay asks the brokers: which partitions there are, what they hold, and where a place in them is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from worker.adapters.kafka.admin import Admin
from worker.core.state import Partition
from worker.ops.replay.targets import At, Earliest, Latest, Offsets, Place
from worker.ops.terminal import CommandError


class UsageError(Exception):
    """The options contradict each other, or the configuration. The message is one line and says the way out."""


@dataclass(frozen=True, slots=True)
class Log:
    """A partition's log: the oldest offset that is kept, and the one behind the last that can be read."""

    begin: int
    end: int

    def clamp(self, offset: int) -> int:
        return min(max(offset, self.begin), self.end)


@dataclass(frozen=True, slots=True)
class Selection:
    """`--topic` and `--partition`; empty: all."""

    topics: Sequence[str] = ()
    partitions: Sequence[int] = ()


def select(admin: Admin, configured: Sequence[str], selection: Selection) -> list[Partition]:
    """The partitions that are meant. Raises UsageError, or CommandError where the brokers don't have one."""
    names = list(dict.fromkeys(selection.topics or configured))
    foreign = [name for name in names if name not in configured]
    if foreign:
        raise UsageError(f"{foreign[0]} is none of KAFKA_TOPICS ({', '.join(configured)}); the worker doesn't read it")
    if selection.partitions and len(names) > 1:
        raise UsageError(f"--partition needs one --topic, because there are several: {', '.join(names)}")
    found: list[Partition] = []
    for name, topic in admin.topics(names).items():
        if topic.problem is not None:
            raise CommandError(f"topic {name} {topic.problem}; `optico-worker check` says more")
        found += topic.partitions
    return _narrowed(found, selection.partitions) if selection.partitions else found


def _narrowed(found: list[Partition], numbers: Sequence[int]) -> list[Partition]:
    missing = set(numbers) - {partition.partition for partition in found}
    if missing:
        raise CommandError(f"topic {found[0].topic} has no partition {min(missing)}, only 0 to {len(found) - 1}")
    return [partition for partition in found if partition.partition in numbers]


def logs(admin: Admin, partitions: Collection[Partition]) -> dict[Partition, Log]:
    begins, ends = admin.begins(partitions), admin.ends(partitions)
    # What a transaction keeps open may lie before the oldest record that is kept, for a moment.
    return {partition: Log(begins[partition], max(begins[partition], ends[partition])) for partition in partitions}


def locate(admin: Admin, place: Place, of: dict[Partition, Log]) -> dict[Partition, int | None]:
    """The offset of the place in each log, as asked for, not clamped; None: nothing is as new as the time.

    Raises CommandError for offsets of a partition that is not there.
    """
    match place:
        case Earliest():
            return {partition: log.begin for partition, log in of.items()}
        case Latest():
            return {partition: log.end for partition, log in of.items()}
        case At(timestamp):
            return admin.offsets_at(of, timestamp)
        case Offsets(by_partition):
            for partition in by_partition:
                if partition not in of:
                    raise CommandError(f"{partition.topic}:{partition.partition} is no partition of what is replayed")
            return dict(by_partition)
