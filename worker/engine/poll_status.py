"""What the intake shows of itself to health checks, metrics and the watchdog."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.state import Partition
from worker.ports import LogEnd, Membership, TooLarge


@dataclass(slots=True)
class PollStatus:
    """Written by the intake's thread only (the counters also by the client's), each field replaced as a whole.

    `heartbeat_at`, `polled_at` and `unstable_since` are monotonic seconds, `polled_at_wall` is UNIX seconds.
    """

    heartbeat_at: float
    polled_at: float | None = None
    polled_at_wall: float = 0.0
    longest_gap: float = 0.0
    membership: Membership = Membership.DISCONNECTED
    joined_once: bool = False
    unstable_since: float | None = None
    paused: frozenset[str] = frozenset()
    partitions: int | None = None
    missing_topics: tuple[str, ...] = ()
    #: By topic, the newest time of a record that was read (UNIX seconds); 0: none was.
    last_events: dict[str, float] = field(default_factory=dict)
    ends: dict[Partition, LogEnd] = field(default_factory=dict)
    open_transactions: dict[Partition, float] = field(default_factory=dict)
    too_large: Mapping[Partition, TooLarge] = field(default_factory=dict)
    rebalances: Counter[str] = field(default_factory=Counter)
    commits: Counter[str] = field(default_factory=Counter)

    def note_poll(self, now: float, wall_now: float) -> None:
        if self.polled_at is not None:
            self.longest_gap = max(self.longest_gap, now - self.polled_at)
        self.polled_at = self.heartbeat_at = now
        self.polled_at_wall = wall_now

    def note_event(self, topic: str, at: float) -> None:
        if at > self.last_events.get(topic, 0.0):
            self.last_events = self.last_events | {topic: at}

    def note_membership(self, membership: Membership, now: float) -> bool:
        """Takes it over; True if it changed."""
        changed = membership is not self.membership
        self.membership = membership
        if membership is Membership.STABLE:
            self.joined_once, self.unstable_since = True, None
        elif membership is Membership.DISCONNECTED:
            self.unstable_since = None
        elif self.unstable_since is None:
            self.unstable_since = now
        return changed
