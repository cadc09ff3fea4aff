"""What the engine needs from the outside. Each protocol has one adapter; no library stands behind these names."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from worker.core.counts import Counts
from worker.core.event import Kind
from worker.core.letters import Letter
from worker.core.outcome import Outcome
from worker.core.state import Partition


class FatalError(Exception):
    """Waiting would not help: the process must end. The message says why."""


class UnavailableError(Exception):
    """Not to be had now; worth trying again."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well; if not, why, in words for a person.

    `last_events`: by topic, the time (UNIX seconds) of the last event that came since the start; 0: none did.
    `intake_paused`: why records stay unread just now, those of calls included; that is no failure.
    """

    reasons: tuple[str, ...] = ()
    last_events: Mapping[str, float] | None = None
    intake_paused: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.reasons


class LogEnd(NamedTuple):
    """Both ends of a partition's log, from one sample. They differ while a transaction is open."""

    #: The offset after the last record that all replicas have.
    high_watermark: int
    #: The offset after the last record that can be read: no open transaction begins before it.
    last_stable: int


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Offsets of an owned partition; None: not known yet. `end` is the high watermark.

    `open_transaction`: how long one has held up the reading (s); 0: none does.
    """

    end: int | None
    position: int | None
    committed: int | None
    open_transaction: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The worker at one moment. Durations in seconds, points in time in UNIX seconds (0: never).

    `sending_paused` holds kinds with the reason.
    """

    counts: Counts
    pending: int
    pending_bytes: int
    unsettled: int
    in_flight: int
    oldest_unsettled: float
    partitions: Mapping[Partition, PartitionState]
    intake_paused: frozenset[str]
    sending_paused: frozenset[tuple[str, str]]
    rebalances: Counter[str]
    commits: Counter[str]
    polled_at: float

    @classmethod
    def nothing(cls) -> "Snapshot":
        """A worker that has done nothing yet."""
        return cls(Counts(), 0, 0, 0, 0, 0.0, {}, frozenset(), frozenset(), Counter(), Counter(), 0.0)


class TooLarge(NamedTuple):
    """A batch that is larger than may be read. `next_offset` is the first one after it."""

    offset: int
    next_offset: int


class Record(Protocol):
    """A record as the client hands it out. `timestamp` in milliseconds, -1 where it has none."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Content(NamedTuple):
    """The parts of a record that are kept while its event is pending. The event holds the position."""

    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int

    @classmethod
    def of(cls, record: Record) -> "Content":
        return cls(record.value, record.key, tuple(record.headers), record.timestamp)


class Membership(StrEnum):
    """Where this process stands with its group."""

    STABLE = "stable"
    JOINING = "joining"
    DISCONNECTED = "disconnected"


class Rebalance(Protocol):
    """What the consumer tells about its partitions. Called on the client's own thread; must not block or raise."""

    def suspend(self, partitions: Iterable[Partition]) -> None:
        """Start nothing more of these."""

    def busy(self, partitions: Iterable[Partition]) -> bool:
        """Whether any of these has a request in flight."""

    def committable(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """What is to be committed of these before they go."""

    def ambiguous(self, partitions: Iterable[Partition]) -> set[Partition]:
        """Those of which requests may still take effect: a note for the next owner is committed with their offsets."""

    def found_dirty(self, partitions: Iterable[Partition]) -> None:
        """With these came such a note, of one who handed them over or who died."""

    def committed(
        self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], error: Exception | None
    ) -> None:
        """How that went."""

    def release(self, partitions: Iterable[Partition], reason: str) -> None:
        """They are gone: `revoked`, or `lost` without notice."""

    def assign(self, partitions: Iterable[Partition], *, all_of_them: bool) -> None:
        """These are ours now. `all_of_them`: and no others, so that what is missing is gone."""


class Consumer(Protocol):
    """A member of the consumer group. One thread only, which must call `poll` often.

    Raises FatalError where waiting would not help.
    """

    def poll(self, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        """Records, or nothing after `timeout` seconds. May block longer while partitions are being revoked."""

    def too_large(self) -> Mapping[Partition, TooLarge]:
        """Partitions that are not read on, each with the batch that is in the way. Does not block."""

    def position(self, partition: Partition) -> int | None:
        """The next offset to read, as far as the client knows one. Does not block."""

    def moved(self) -> Collection[Partition]:
        """Partitions whose position may have changed since the last call, new ones among them. Does not block."""

    def pause(self, paused: bool) -> None:
        """Stops, or goes on, reading all partitions that are assigned now. Does not block."""

    def commit(self, offsets: Mapping[Partition, int], done: Callable[[Exception | None], None]) -> None:
        """Starts a commit with the dirty marker; `done` is called from a later `poll`."""

    def commit_now(self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], timeout: float) -> None:
        """Commits, with the dirty marker for `ambiguous` partitions. Blocks for at most `timeout` seconds.

        Raises UnavailableError if that failed.
        """

    def request_ends(self, partitions: Iterable[Partition]) -> None:
        """Asks for the log ends of these; one question at a time, more are ignored until it is answered."""

    def ends(self) -> dict[Partition, LogEnd]:
        """Log ends that arrived since the last call."""

    def without_offset(self) -> set[Partition]:
        """Partitions that came since the last call and for which the group has no committed offset."""

    def partitions(self) -> int | None:
        """How many partitions the topics have altogether; None: not known yet."""

    def missing_topics(self) -> list[str]:
        """Topics that the brokers do not have."""

    def membership(self) -> Membership: ...

    def lease_until(self) -> float:
        """Until when (monotonic seconds) the group can't have given our partitions to others. Does not block."""

    def close(self, timeout: float) -> None:
        """Leaves the group (a static member stays) within about `timeout` seconds."""


class Api(Protocol):
    """The Cart API. For one event loop."""

    async def post(self, path: str, body: bytes) -> Outcome:
        """One exchange, within the deadline. Never raises; what went wrong is the outcome."""

    async def close(self) -> None: ...


class Measure(Protocol):
    """Durations, in seconds. Quick; for one thread."""

    def request(self, kind: Kind, seconds: float) -> None: ...

    def delivered(self, kind: Kind, seconds: float) -> None:
        """From the event to its first acceptance by the API."""

    def call_delivered(self, kind: Kind, seconds: float) -> None:
        """The same, of an entity that is on a call; besides `delivered`."""


class Warn(Protocol):
    """Warns, but at a bounded rate for each `per`. Thread-safe."""

    def __call__(self, event: str, *, per: str, **fields: object) -> None: ...


class DeadLetters(Protocol):
    """Where dead letters go. One thread only."""

    def write(self, letters: Sequence[Letter]) -> list[Letter]:
        """Writes them and waits for the acknowledgements; returns those that were acknowledged.

        Raises UnavailableError if none could be written. Blocks for as long as the producer's time-outs allow.
        """

    def close(self) -> None: ...
