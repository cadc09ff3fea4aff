"""The dead-letter topic, read up to its present end."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from worker.adapters.kafka.admin import Admin
from worker.adapters.kafka.reader import Reader
from worker.core.state import Partition, RecordPosition
from worker.formats import ReadConfig
from worker.ops.dlq.letter import DeadLetter
from worker.ops.terminal import CommandError, progress
from worker.ports import Record

#: Brokers may have another clock than workers, who date the letters (ms).
_CLOCKS_DIFFER = 300_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that meet all that is said. `since` (included) and `until` in UNIX seconds.

    `ids`: such as `42` or `cart:42`. `named`: by the letter's own position, or by its record's.
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
            and (not self.ids or letter.id in self.ids or letter.name in self.ids)
            and self._in_time(letter.failed_at)
            and (not self.named or letter.where in self.named or letter.origin in self.named)
        )

    def _in_time(self, failed_at: float | None) -> bool:
        if failed_at is None:
            return self.since is None and self.until is None
        return (self.since is None or failed_at >= self.since) and (self.until is None or failed_at < self.until)


class LetterReader:
    """One look at the topic: its letters, as they are when it is created. Blocks; raises as `Admin` does.

    Raises CommandError if there is no such topic.
    """

    def __init__(self, admin: Admin, reader: Reader, topic: str, config: ReadConfig) -> None:
        self._admin, self._reader, self._config = admin, reader, config
        found = admin.topics([topic])[topic]
        if found.problem is not None:
            raise CommandError(f"dead-letter topic {topic}: {found.problem}; correct KAFKA_DLQ_TOPIC, or create it")
        self.topic = topic
        self.begins: Mapping[Partition, int] = admin.begins(found.partitions)
        self.ends: Mapping[Partition, int] = admin.ends(found.partitions)

    def letters(self, since: float | None = None) -> Iterator[tuple[DeadLetter, Record]]:
        """All letters, or at least those that failed at that time or later (UNIX seconds); with a progress bar."""
        ranges = {at: (start, self.ends[at]) for at, start in self._starts(since).items()}
        total = sum(end - start for start, end in ranges.values())
        with progress("reading dead letters", total) as step:
            for partition, record in self._reader.read(ranges):
                step(1)
                yield DeadLetter.of(partition, record, self._config), record

    def _starts(self, since: float | None) -> Mapping[Partition, int]:
        if since is None:
            return self.begins
        found = self._admin.offsets_at(self.begins, max(0, int(since * 1000) - _CLOCKS_DIFFER))
        return {at: self.ends[at] if offset is None else offset for at, offset in found.items()}

    def at(self, positions: Collection[RecordPosition]) -> Iterator[tuple[DeadLetter, Record]]:
        """The letters at these positions, without those that are not there any more."""
        spans: dict[Partition, tuple[int, int]] = {}
        for topic, number, offset in positions:
            partition = Partition(topic, number)
            if partition in self.begins and self.begins[partition] <= offset < self.ends[partition]:
                low, high = spans.get(partition, (offset, 0))
                spans[partition] = (min(low, offset), max(high, offset + 1))
        for partition, record in self._reader.read(spans):
            if RecordPosition(*partition, record.offset) in positions:
                yield DeadLetter.of(partition, record, self._config), record


def one_a_record(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """The last letter of each record, which says how many there are; without headers, as there may be very many."""
    found: dict[object, DeadLetter] = {}
    for letter in letters:
        before = found.get(letter.record)
        found[letter.record] = replace(letter, headers=(), letters=1 if before is None else before.letters + 1)
    return list(found.values())
