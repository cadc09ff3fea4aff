"""The dead-letter topic, read from a given place to its present end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from worker.adapters.kafka.admin import Admin
from worker.adapters.kafka.reader import Reader
from worker.core.state import Partition
from worker.ops.dlq.letter import DeadLetter, RecordPosition
from worker.ops.terminal import CommandError, progress
from worker.ports import Record

#: Brokers may have another clock than workers, who date the letters (ms).
_CLOCKS_DIFFER = 300_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that meet all that is said. `since` (included) and `until` in UNIX seconds.

    `named`: by the letter's own coordinates, or by its record's.
    """

    reasons: frozenset[str] = frozenset()
    entity: str | None = None
    ids: frozenset[str] = frozenset()
    since: float | None = None
    until: float | None = None
    named: frozenset[RecordPosition] = frozenset()

    def __contains__(self, letter: DeadLetter) -> bool:
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.entity is None or letter.entity == self.entity)
            and (not self.ids or letter.id in self.ids)
            and self._in_time(letter.failed_at)
            and (not self.named or letter.where in self.named or letter.origin in self.named)
        )

    def _in_time(self, failed_at: float | None) -> bool:
        if failed_at is None:
            return self.since is None and self.until is None
        return (self.since is None or failed_at >= self.since) and (self.until is None or failed_at < self.until)


class Shelf:
    """One look at the topic: its letters, as they are when it is created. Blocks; raises as `Admin` does.

    Raises CommandError if there is no such topic.
    """

    def __init__(self, admin: Admin, reader: Reader, topic: str) -> None:
        self._admin, self._reader = admin, reader
        found = admin.topics([topic])[topic]
        if found.problem is not None:
            raise CommandError(f"dead-letter topic {topic}: {found.problem}; correct KAFKA_DLQ_TOPIC, or create it")
        self.topic = topic
        self.begins: Mapping[Partition, int] = admin.begins(found.partitions)
        self.ends: Mapping[Partition, int] = admin.ends(found.partitions)

    def letters(self, starts: Mapping[Partition, int] | None = None) -> Iterator[tuple[DeadLetter, Record]]:
        """From the starts on, or all of them; with a progress bar."""
        ranges = {at: (max(begin, (starts or {}).get(at, begin)), self.ends[at]) for at, begin in self.begins.items()}
        total = sum(end - start for start, end in ranges.values())
        with progress("reading dead letters", total) as step:
            for partition, record in self._reader.read(ranges):
                step(1)
                yield DeadLetter.of(partition, record), record

    def summaries(self, starts: Mapping[Partition, int] | None = None) -> Iterator[DeadLetter]:
        """The same without headers, to be kept: there may be very many."""
        return (replace(letter, headers=()) for letter, _ in self.letters(starts))

    def starts(self, since: float | None) -> Mapping[Partition, int]:
        """Where letters of that time or later begin, at the latest."""
        if since is None:
            return self.begins
        found = self._admin.offsets_at(self.begins, max(0, int(since * 1000) - _CLOCKS_DIFFER))
        return {at: self.ends[at] if offset is None else offset for at, offset in found.items()}

    def values(self, places: list[RecordPosition]) -> dict[RecordPosition, Record]:
        """The records at these places, whose partitions must exist; without those that are not there any more."""
        wanted = set(places)
        spans: dict[Partition, tuple[int, int]] = {}
        for place in places:
            low, high = spans.get(place.at, (place.offset, 0))
            spans[place.at] = (min(low, place.offset), max(high, place.offset + 1))
        if not spans:
            return {}
        begins, ends = self._admin.begins(spans), self._admin.ends(spans)
        ranges = {at: (max(low, begins[at]), min(high, ends[at])) for at, (low, high) in spans.items()}
        read = ((RecordPosition(*at, record.offset), record) for at, record in self._reader.read(ranges))
        return {place: record for place, record in read if place in wanted}
