"""Whether an entity has a later record in the partition that its dead letter is from."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from worker.adapters.kafka.admin import Admin
from worker.adapters.kafka.dead_letters import LONGEST_ID
from worker.adapters.kafka.reader import Reader
from worker.adapters.kafka.writer import NewRecord
from worker.core.event import Invalid, Skipped
from worker.core.state import Partition
from worker.formats import ReadConfig, read
from worker.ops.dlq.copies import copy_of, fingerprint, is_of
from worker.ops.dlq.letter import DeadLetter, RecordPosition
from worker.ports import Record

#: What a record is of: an entity's kind and id; or its key, which counts where the record, or the letter, names none.
_Mark = tuple[str, str | bytes]
_KEY_OF_NAMELESS, _KEY = "key of a record without an entity", "key"


@dataclass(frozen=True, slots=True)
class Ours:
    """A record that a redrive wrote for a letter: its copy, or what is newer than that, again. `of`: whose content."""

    where: RecordPosition
    of: RecordPosition


class Later:
    """The last offset of each entity that was asked for, as far as the logs have been read.

    Records that cannot be sent count too, valid or not: they are what the shop said last. A tombstone or an emptied
    cart names no entity; its key does, as producers key records by the entity. Copies of letters don't count, whichever
    run wrote them, and how often: they are as old as what they are copies of.

    Blocks, and raises as `Admin` and `Reader` do.
    """

    def __init__(self, admin: Admin, reader: Reader, config: ReadConfig) -> None:
        self._admin, self._reader, self._config = admin, reader, config
        self._next: dict[Partition, int] = {}
        self._begins: dict[Partition, int] = {}
        self._last: dict[tuple[Partition, _Mark], int] = {}
        self._letters: dict[tuple[Partition, _Mark], list[RecordPosition]] = {}
        self._expected: dict[bytes, list[tuple[RecordPosition, RecordPosition]]] = {}
        self._truncated: dict[RecordPosition, list[DeadLetter]] = {}
        self._ours: dict[RecordPosition, Ours] = {}
        self._copies: dict[RecordPosition, RecordPosition] = {}
        self._ends: dict[Partition, int] = {}
        self._times: dict[RecordPosition, set[int]] = {}
        self._strangers: set[tuple[RecordPosition | None, int | None]] = set()

    def watch(self, chosen: Iterable[DeadLetter], others: Iterable[DeadLetter]) -> None:
        """Notes whose records matter, and that the letters' own records were there, whatever is left of the log. Once.

        What is chosen may be a letter of another one's copy: so the log is read from the entity's first letter on.
        """
        letters: dict[tuple[Partition, _Mark], set[RecordPosition]] = {}
        for letter in chosen:
            if letter.origin is not None:
                self._know(letter, letter.origin)
                for mark in _marks(letter):
                    letters.setdefault((letter.origin.at, mark), set()).add(letter.origin)
        for letter in others:
            for mark in _marks(letter):
                if letter.origin is not None and (letter.origin.at, mark) in letters:
                    letters[letter.origin.at, mark].add(letter.origin)
        self._last = dict.fromkeys(letters, -1)
        self._letters = {key: sorted(places, reverse=True) for key, places in letters.items()}
        for (at, _), places in self._letters.items():
            self._next[at] = min(self._next[at], places[-1].offset)

    def _know(self, letter: DeadLetter, origin: RecordPosition) -> None:
        self._next[origin.at] = min(self._next.get(origin.at, origin.offset), origin.offset)
        if letter.timestamp is not None:
            self._times.setdefault(origin, set()).add(letter.timestamp)
        if letter.truncated:
            self._truncated.setdefault(origin, []).append(letter)

    def extent(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """What `extend` would read of these, which must exist."""
        self._begins |= self._admin.begins([at for at in partitions if at not in self._begins])
        self._ends |= self._admin.ends(partitions)
        return {at: (max(self._next[at], self._begins[at]), self._ends[at]) for at in partitions}

    def extend(self, ranges: dict[Partition, tuple[int, int]], step: Callable[[int], None]) -> None:
        """Reads on."""
        for at, record in self._reader.read(ranges):
            step(1)
            place = RecordPosition(*at, record.offset)
            self._strangers |= {(place, time) for time in self._times.get(place, ()) if time != record.timestamp}
            for letter in self._truncated.get(place, ()):
                if is_of(letter, record):
                    self.expect(letter, copy_of(letter, record))
            if not self._is_ours(place, record):
                self._see(at, record.offset, self._marks_of(at.topic, record))
        self._next |= {at: max(end, self._next[at]) for at, (_, end) in ranges.items()}

    def expect(self, letter: DeadLetter, copy: NewRecord, of: RecordPosition | None = None) -> None:
        """To be told before it is written, or may be read. `of`: what it repeats; None: the letter's record."""
        of = letter.origin if of is None else of
        known = self._expected.setdefault(fingerprint(copy), [])
        if of is not None and (letter.where, of) not in known:
            known.append((letter.where, of))

    def written(self, letter: DeadLetter, place: RecordPosition, of: RecordPosition | None = None) -> None:
        """That the brokers say where it is, before it is read. `of`: as in `expect`."""
        of = letter.origin if of is None else of
        if of is not None:
            self._ours[letter.where] = Ours(place, of)

    def ours(self, letter: DeadLetter) -> Ours | None:
        """The last record that was written for it; None: there is none."""
        return self._ours.get(letter.where)

    def of(self, letter: DeadLetter) -> RecordPosition | None:
        """A newer record of the letter's entity; None: there is none, or the entity is not known.

        It is a later one, or where the letter's record is itself a copy, later than what that is a copy of.
        """
        if letter.origin is None:
            return None
        at = letter.origin.at
        last = max((self._last_of(at, mark) for mark in _marks(letter)), default=-1)
        return RecordPosition(*at, last) if last > self._age(letter.origin).offset else None

    def gap_after(self, letter: DeadLetter) -> bool:
        """Whether records that may supersede it were deleted before they could be looked at."""
        if letter.origin is None or not _marks(letter):
            return False
        return self._begins.get(letter.origin.at, 0) > letter.origin.offset + 1

    def displaced(self, letter: DeadLetter) -> bool:
        """Whether the log is another one than that which the letter's record was in: offsets mean nothing there."""
        origin = letter.origin
        if origin is None:
            return False
        return letter.record in self._strangers or self._ends.get(origin.at, origin.offset + 1) <= origin.offset

    def _is_ours(self, place: RecordPosition, record: Record) -> bool:
        """What stands before that which it would be a copy of is the shop's."""
        known = self._expected.get(fingerprint(record), ()) if self._expected else ()
        found = {letter: Ours(place, of) for letter, of in known if of.at == place.at and of < place}
        self._ours |= found
        if found:
            self._copies[place] = max(ours.of for ours in found.values())
        return bool(found)

    def _age(self, place: RecordPosition) -> RecordPosition:
        """A copy is as old as what it is a copy of."""
        while place in self._copies:
            place = self._copies[place]
        return place

    def _last_of(self, at: Partition, mark: _Mark) -> int:
        letters = self._letters.get((at, mark), ())
        last_letter = next((place.offset for place in letters if place not in self._copies), -1)
        return max(last_letter, self._last.get((at, mark), -1))

    def _marks_of(self, topic: str, record: Record) -> list[_Mark]:
        key = record.key
        marks: list[_Mark] = [(_KEY, key)] if key else []
        named: _Mark | None
        match read(record.value, self._config.for_topic(topic), record.timestamp):
            case Skipped(entity=entity):
                named = entity
            case Invalid(kind=kind, id=entity_id):
                named = None if entity_id is None else (kind, entity_id)
            case decoded:
                named = decoded.entity
        if named is not None:
            return [*marks, named]
        return [*marks, (_KEY_OF_NAMELESS, key)] if key else marks

    def _see(self, at: Partition, offset: int, marks: Iterable[_Mark]) -> None:
        for mark in marks:
            if (at, mark) in self._last:
                self._last[at, mark] = max(self._last[at, mark], offset)


def _marks(letter: DeadLetter) -> list[_Mark]:
    """By its entity, if records can be known by that: an id of an unknown kind, or a cut one, is no name of any."""
    if letter.entity in ("cart", "order") and letter.id is not None and len(letter.id) < LONGEST_ID:
        named: list[_Mark] = [(letter.entity, letter.id)]
        return [*named, (_KEY_OF_NAMELESS, letter.key)] if letter.key else named
    return [(_KEY, letter.key)] if letter.key else []
