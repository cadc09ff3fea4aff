"""Who owns which partition, since which epoch, and what of it is unsettled."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.core.lane import Event, Lane


class Partition(NamedTuple):
    """Equal, as a tuple, to the client's own topic-partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(slots=True, eq=False)
class Ownership:
    """One assignment of a partition to this process. What settles under a dead ownership settles nothing.

    `unsettled` is keyed by offset and filled in log order, so its first key is the smallest. Settled records leave
    nothing behind: memory follows what waits, and gaps in the log cost nothing.
    """

    partition: Partition
    epoch: int
    catch_up_until: float
    catching_up: bool = True
    end: int | None = None
    position: int | None = None
    committed: int | None = None
    suspended: bool = False
    alive: bool = True
    unsettled: dict[int, Event] = field(default_factory=dict)
    parked: dict[Lane, None] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Nothing of it may start now."""
        return self.catching_up or self.suspended

    def read(self, event_offset: int) -> None:
        """The record at this offset was read. The one place where an offset becomes the next one."""
        self.position = event_offset + 1

    def admit(self, payload: Any, offset: int, size: int, read_at: float, occurred_at: float) -> Event:
        """A new unsettled event without an entity; the lane adds that."""
        event = Event(None, self, offset, payload, size, read_at, occurred_at)
        self.unsettled[offset] = event
        self.position = offset + 1
        return event

    def committable(self) -> int | None:
        """The offset that may be committed: the smallest unsettled one, else the next one to read."""
        return next(iter(self.unsettled), self.position)

    def oldest(self) -> Event | None:
        return next(iter(self.unsettled.values()), None)
