"""The topic as a replay reads it: the range, on to its end, and on while entities are sent."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from worker.adapters.logs import RateLimited
from worker.core.event import Entity, Event, Invalid, Skipped
from worker.core.state import Partition, RecordPosition
from worker.formats import ReadConfig, read
from worker.ops.replay.offset_range import OffsetRange
from worker.ops.replay.range_scan import RangeScan, State, entity_of
from worker.ports import Record, UnavailableError

log = structlog.get_logger(__name__)

#: How long a poll waits for records (s), and so by how much an answer may wait for its check.
POLL_TIMEOUT = 0.05
PAUSE_AFTER_FAILURE = 0.5

Found = tuple[State, Event | Skipped | Invalid]


class Reader(Protocol):
    """See `worker.adapters.kafka.replay.PartitionReader`."""

    def seek(self, offsets: Mapping[Partition, int]) -> None: ...
    def pause(self, partitions: Sequence[Partition]) -> None: ...
    def poll(self, timeout: float) -> Mapping[Partition, Sequence[Record]]: ...
    def position(self, partition: Partition) -> int | None: ...
    def ends(self) -> dict[Partition, int]: ...


class Records(Protocol):
    """What of `Reading` a feed needs."""

    def poll(self) -> Iterator[Found]: ...
    def ends(self) -> dict[Partition, int]: ...
    def left(self, ends: Mapping[Partition, int]) -> int: ...


class Stopped(Exception):  # noqa: N818 - no error
    """The user has stopped it."""


@dataclass(slots=True)
class Reading:
    """What Kafka refuses for a moment is tried again, for as long as `stopped` says False.

    Methods raise FatalError. `show` is told how many records of the range are read.
    """

    reader: Reader
    config: ReadConfig
    stopped: Callable[[], bool]
    show: Callable[[int], None]
    _limited: RateLimited = field(default_factory=lambda: RateLimited(limit=1, interval=10.0))

    def scan(self, spans: Mapping[Partition, OffsetRange], ids: frozenset[Entity]) -> RangeScan:
        """Reads the range, and on to an end that is taken then. Raises Stopped."""
        scan = RangeScan(ids)
        stops = {partition: span.stop for partition, span in spans.items()}
        total = sum(map(len, spans.values()))
        while left := self.left(stops):
            self.show(total - left)
            self._unless_stopped()
            self.reader.pause([partition for partition in stops if not self.left({partition: stops[partition]})])
            for state, decoded in self.poll():
                if state.at.offset < stops[Partition(*state.at[:2])]:
                    scan.meet(state, decoded, in_range=True)
        self.show(total)
        # All partitions from the range's end on: an entity may have been found after its newer event was passed.
        self.reader.seek(stops)
        ends = self.ends(self._unless_stopped)
        while self.left(ends):
            self._unless_stopped()
            for state, decoded in self.poll():
                scan.meet(state, decoded, in_range=False)
        return scan

    def poll(self) -> Iterator[Found]:
        """What came within the time of a poll, in log order within each partition."""
        try:
            batches = self.reader.poll(POLL_TIMEOUT)
        except UnavailableError as error:
            self._put_off(error)
            return
        for (topic, partition), records in batches.items():
            for record in records:
                at = RecordPosition(topic, partition, record.offset)
                decoded = read(record.value, self.config.for_topic(topic), record.timestamp)
                emptied = isinstance(decoded, Skipped) and decoded.reason == "empty_products"
                link = (decoded.call_id, decoded.agent) if isinstance(decoded, Event) else (None, None)
                yield State(at, record.timestamp, record.value or b"", emptied, *link, key=record.key), decoded

    def ends(self, meanwhile: Callable[[], None] = lambda: None) -> dict[Partition, int]:
        """The topic's ends as they are when this is called, or later. Blocks until they are known."""
        while True:
            meanwhile()
            try:
                return self.reader.ends()
            except UnavailableError as error:
                self._put_off(error)

    def position(self, partition: Partition) -> int | None:
        """The next offset to read, as far as it is known."""
        return self.reader.position(partition)

    def left(self, ends: Mapping[Partition, int]) -> int:
        """How many offsets before these ends are not read yet."""
        return sum(max(0, end - (self.reader.position(partition) or 0)) for partition, end in ends.items())

    def _unless_stopped(self) -> None:
        if self.stopped():
            raise Stopped

    def _put_off(self, error: UnavailableError) -> None:
        self._limited(log.warning, "Kafka can't be read; trying again", error=str(error))
        time.sleep(PAUSE_AFTER_FAILURE)


class Feed:
    """The range once more, from its start on and in log order, as far as it is asked for.

    `positions`: the next offset of each partition that was not handed out yet. `quiet`: the last poll brought nothing.
    """

    def __init__(self, reading: "Records", starts: Mapping[Partition, int]) -> None:
        self._reading = reading
        self._records: Iterable[Found] = iter(())
        self._end: tuple[int, Mapping[Partition, int]] | None = None
        self.positions = dict(starts)
        self.quiet = False

    def found(self) -> Iterator[tuple[Entity, State]]:
        """What is left of the last poll, and what the next one brings. Whoever stops in between loses nothing."""
        yield from self._events()
        self.quiet = True
        self._records = self._reading.poll()
        yield from self._events()

    def ended(self, changes: int) -> bool:
        """Whether the log was read to an end that was taken since `changes` was last another number."""
        if not self.quiet:
            return False
        if self._end is None or self._end[0] != changes:
            self._end = changes, self._reading.ends()
        return not self._reading.left(self._end[1])

    def _events(self) -> Iterator[tuple[Entity, State]]:
        for state, decoded in self._records:
            self.quiet = False
            self.positions[Partition(*state.at[:2])] = state.at.offset + 1
            entity = entity_of(decoded)
            if entity is not None:
                yield entity, state
