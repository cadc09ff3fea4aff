"""Who owns which partition, since which epoch, and what of it is unsettled."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.core.delivery_config import CATCH_UP_AT_MOST
from worker.core.entity_queue import EntityQueue, QueuedEvent


class Partition(NamedTuple):
    """Equal, as a tuple, to the client's own topic-partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(slots=True, eq=False)
class OwnedPartition:
    """One assignment of a partition to this process. What settles under a former assignment settles nothing.

    `unsettled` is keyed by offset and filled in log order, so its first key is the smallest. Settled records leave
    nothing behind: memory follows what waits, and gaps in the log cost nothing.

    `ambiguous_until`: so long requests of the former owner may still take effect (monotonic seconds). `dirty`: beside the
    committed offset it stands that requests may be under way, so that the next owner knows should this one just die.
    """

    partition: Partition
    epoch: int
    catch_up_until: float
    ambiguous_until: float = 0.0
    dirty: bool = False
    catching_up: bool = True
    end: int | None = None
    position: int | None = None
    committed: int | None = None
    suspended: bool = False
    alive: bool = True
    unsettled: dict[int, QueuedEvent] = field(default_factory=dict)
    blocked_queues: dict[EntityQueue, None] = field(default_factory=dict)

    @property
    def at_rest(self) -> bool:
        """Nothing of it is pending, and all that was read is committed, with the dirty marker beside it."""
        return (
            self.position is not None
            and self.position == self.committed
            and self.dirty
            and not self.catching_up
            and not self.unsettled
        )

    @property
    def held(self) -> bool:
        """Nothing of it may start now."""
        return self.catching_up or self.suspended

    def read(self, event_offset: int) -> None:
        """The record at this offset was read. The one place where an offset becomes the next one."""
        self.position = event_offset + 1

    def admit(self, payload: Any, offset: int, size: int, read_at: float, occurred_at: float) -> QueuedEvent:
        """A new unsettled event without an entity; the queue adds that."""
        event = QueuedEvent(None, self, offset, payload, size, read_at, occurred_at)
        self.unsettled[offset] = event
        self.position = offset + 1
        return event

    def committable(self) -> int | None:
        """The offset that may be committed: the smallest unsettled one, else the next one to read."""
        return next(iter(self.unsettled), self.position)

    def uncommitted(self) -> int:
        """How many offsets its next owner reads again."""
        if self.position is None or self.committed is None:
            return len(self.unsettled)
        return max(0, self.position - self.committed)

    def caught_up(self, now: float, *, anyway: bool = False) -> bool:
        """It has read what was there when it was assigned (`anyway`: or need not), and a note says that it may send.

        Or it has waited long enough for that.
        """
        if now >= self.catch_up_until:
            return True
        read = anyway or (self.end is not None and self.position is not None and self.position >= self.end)
        return read and self.dirty

    def hold_back(self, now: float) -> None:
        """Nothing of it may start until it has caught up."""
        self.catching_up, self.catch_up_until = True, now + CATCH_UP_AT_MOST


@dataclass(slots=True)
class OwnedPartitions:
    """The partitions that are this process's now.

    `active` holds those that are not at rest, and some that are. Whatever is asked of every partition is asked of these
    only: what an idle partition costs does not add up. Whoever changes one marks it with `touch`.

    `version` changes whenever a partition comes or goes.
    """

    by_partition: dict[Partition, OwnedPartition] = field(default_factory=dict)
    active: dict[OwnedPartition, None] = field(default_factory=dict)
    version: int = 0
    _epoch: int = 0

    def get(self, partition: Partition) -> OwnedPartition | None:
        return self.by_partition.get(partition)

    def among(self, partitions: Iterable[Partition]) -> list[OwnedPartition]:
        return [owner for partition in partitions if (owner := self.by_partition.get(partition)) is not None]

    def begin(self, partition: Partition, now: float) -> OwnedPartition:
        self._epoch += 1
        self.version += 1
        owner = OwnedPartition(partition, self._epoch, now + CATCH_UP_AT_MOST)
        self.by_partition[partition] = owner
        self.touch(owner)
        return owner

    def touch(self, owner: OwnedPartition) -> None:
        """Something of it has changed: it may not be at rest any more."""
        self.active[owner] = None

    def forget_resting(self) -> None:
        """Takes those that are at rest out of `active`."""
        for owner in [owner for owner in self.active if owner.at_rest]:
            del self.active[owner]

    def end(self, partition: Partition) -> list[QueuedEvent]:
        """Returns what it leaves unsettled."""
        owner = self.by_partition.pop(partition, None)
        if owner is None:
            return []
        self.version += 1
        self.active.pop(owner, None)
        left = list(owner.unsettled.values())
        owner.alive = False
        owner.blocked_queues.clear()
        owner.unsettled.clear()  # a request under way may hold on to its owner
        return left

    def cut(self, owner: OwnedPartition, end: int, now: float) -> tuple[OwnedPartition, list[QueuedEvent]]:
        """A new assignment that reads from `end` on and has what is unsettled below; and the events that it has not."""
        left = self.end(owner.partition)
        new = self.begin(owner.partition, now)
        new.position, new.suspended, new.ambiguous_until = end, owner.suspended, owner.ambiguous_until
        for event in left:
            if event.offset < end:
                event.owner = new
                new.unsettled[event.offset] = event
        return new, left[len(new.unsettled) :]

    def committable(self) -> dict[Partition, int]:
        """Offsets that may be committed and are not yet, or not with the note of those that may send."""
        return {
            owner.partition: offset
            for owner in self.active
            if (offset := owner.committable()) is not None and (offset != owner.committed or not owner.dirty)
        }

    def unnoted(self) -> bool:
        """Whether anything waits for its note, and could have it."""
        return any(not owner.dirty and owner.position is not None for owner in self.active)

    def unsettled(self) -> int:
        return sum(len(owner.unsettled) for owner in self.active)

    def uncommitted(self) -> int:
        return sum(owner.uncommitted() for owner in self.active)

    def oldest_read_at(self) -> float | None:
        """When the oldest unsettled event was read (monotonic seconds)."""
        firsts = (next(iter(owner.unsettled.values()), None) for owner in self.active)
        return min((event.read_at for event in firsts if event is not None), default=None)
