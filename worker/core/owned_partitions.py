"""The partitions that are this process's: which are active, what may be committed, what a revoked one leaves."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.core.delivery_config import CATCH_UP_AT_MOST
from worker.core.state import OwnedPartition, Partition, QueuedEvent


@dataclass(slots=True)
class OwnedPartitions:
    """The partitions that are assigned to this process.

    `active` holds those that are not at rest, and some that are. Every loop over partitions runs over these only, so
    idle partitions cost nothing. A change of a partition must be followed by `touch`.

    `version` changes when a partition is assigned or revoked.
    """

    by_partition: dict[Partition, OwnedPartition] = field(default_factory=dict)
    active: dict[OwnedPartition, None] = field(default_factory=dict)
    version: int = 0
    _epoch: int = 0

    def get(self, partition: Partition) -> OwnedPartition | None:
        return self.by_partition.get(partition)

    def among(self, partitions: Iterable[Partition]) -> list[OwnedPartition]:
        return [owner for partition in partitions if (owner := self.by_partition.get(partition)) is not None]

    def assign(self, partition: Partition, now: float) -> OwnedPartition:
        self._epoch += 1
        self.version += 1
        owner = OwnedPartition(partition, self._epoch, now + CATCH_UP_AT_MOST)
        self.by_partition[partition] = owner
        self.touch(owner)
        return owner

    def touch(self, owner: OwnedPartition) -> None:
        """The partition has changed, and may not be at rest any more."""
        self.active[owner] = None

    def forget_resting(self) -> None:
        """Takes partitions that are at rest out of `active`."""
        for owner in [owner for owner in self.active if owner.at_rest]:
            del self.active[owner]

    def revoke(self, partition: Partition) -> list[QueuedEvent]:
        """Returns its unsettled events."""
        owner = self.by_partition.pop(partition, None)
        if owner is None:
            return []
        self.version += 1
        self.active.pop(owner, None)
        left = list(owner.unsettled.values())
        owner.alive = False
        owner.blocked_queues.clear()
        owner.unsettled.clear()  # a request in flight keeps its owner alive
        return left

    def truncate(self, owner: OwnedPartition, end: int, now: float) -> tuple[OwnedPartition, list[QueuedEvent]]:
        """Starts a new assignment at `end` with the unsettled events below it. Returns it and the events above."""
        left = self.revoke(owner.partition)
        new = self.assign(owner.partition, now)
        new.position, new.suspended, new.ambiguous_until = end, owner.suspended, owner.ambiguous_until
        for event in left:
            if event.offset < end:
                event.owner = new
                new.unsettled[event.offset] = event
        return new, left[len(new.unsettled) :]

    def committable(self) -> dict[Partition, int]:
        """Offsets to commit: those that are not committed yet, or not with the dirty marker."""
        return {
            owner.partition: offset
            for owner in self.active
            if (offset := owner.committable()) is not None and (offset != owner.committed or not owner.dirty)
        }

    def awaits_dirty_marker(self) -> bool:
        """Whether a partition waits for its dirty marker, and the marker could be committed."""
        return any(not owner.dirty and owner.position is not None for owner in self.active)

    def unsettled(self) -> int:
        return sum(len(owner.unsettled) for owner in self.active)

    def uncommitted(self) -> int:
        return sum(owner.uncommitted() for owner in self.active)

    def oldest_read_at(self) -> float | None:
        """When the oldest unsettled event was read (monotonic seconds)."""
        firsts = (next(iter(owner.unsettled.values()), None) for owner in self.active)
        return min((event.read_at for event in firsts if event is not None), default=None)
