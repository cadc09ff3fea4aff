"""Which letters are done: the committed offsets of a group that nobody is a member of, `GROUP-redrive`.

In each partition of the dead-letter topic all letters below the committed offset are done; those above it that are
done stand in the note that Kafka keeps beside the offset, because whoever redrives by reason leaves gaps, and so does
what is superseded. A note holds some twenty thousand letters whatever the gaps, and more if they follow a pattern. What
it has no room for is looked at again: its copies are found in the log, and it is superseded, but for --force.
"""

import re
import zlib
from base64 import b85decode, b85encode
from collections.abc import Collection, Iterable, Mapping, Sequence

from worker.adapters.kafka.admin import Admin, Noted
from worker.core.state import Partition
from worker.ops.dlq.letter import RecordPosition
from worker.ops.terminal import CommandError

SUFFIX = "-redrive"
#: A broker refuses more than 4096 bytes (offset.metadata.max.bytes).
LONGEST_NOTE = 4000
_RUNS, _BITS = "1:", "2:"
#: Letters above the offset that bits are made for (1 MiB of them).
_FARTHEST = 8 * 1024 * 1024


class Memory:
    """Read once, confirmed before the first batch, and written after each. Raises as `Admin` does."""

    def __init__(self, admin: Admin, group: str) -> None:
        self.group = group + SUFFIX
        self._admin = admin
        self._known = admin.noted(self.group)
        self._low = {at: noted.offset for at, noted in self._known.items()}
        self._above = {at: set(decode_note(*noted)) for at, noted in self._known.items()}
        self._forgotten: dict[Partition, int] = {}
        self.saved = True

    @property
    def forgotten(self) -> int:
        """How many of those that are done the notes have no room for."""
        return sum(self._forgotten.values())

    def starts(self) -> Mapping[Partition, int]:
        """Nothing below these is open."""
        return self._low

    def __contains__(self, where: object) -> bool:
        if not isinstance(where, RecordPosition):
            return False
        return where.offset < self._low.get(where.at, 0) or where.offset in self._above.get(where.at, ())

    def add(self, where: RecordPosition) -> None:
        """To be saved: as long as it is not, `saved` is false."""
        self._above.setdefault(where.at, set()).add(where.offset)
        self.saved = False

    def confirm(self, letters: Mapping[Partition, Collection[int]], ends: Mapping[Partition, int]) -> None:
        """As `save`, also where that changes nothing: who may not commit learns it before anything is sent."""
        self._commit({at: self._noted(at, offsets, ends[at]) for at, offsets in letters.items()})

    def save(self, letters: Mapping[Partition, Collection[int]], ends: Mapping[Partition, int]) -> None:
        """Commits what is done. `letters`: the offsets of all that there are from `starts` to `ends`.

        What a note has no room for is counted in `forgotten`. Raises CommandError if somebody else has committed
        meanwhile.
        """
        noted = {at: self._noted(at, offsets, ends[at]) for at, offsets in letters.items()}
        self._commit({at: noted[at] for at in noted if noted[at] != self._known.get(at, Noted(0, ""))})

    def _commit(self, noted: dict[Partition, Noted]) -> None:
        if self._admin.noted(self.group) != self._known:
            raise CommandError(f"group {self.group} was changed meanwhile: is another redrive running? Run it again")
        if noted:
            self._admin.commit(self.group, noted)
            self._known = self._known | noted
        self.saved = True

    def _noted(self, at: Partition, letters: Collection[int], end: int) -> Noted:
        above = self._above.get(at, set())
        low = min((offset for offset in letters if offset >= self._low.get(at, 0) and offset not in above), default=end)
        note, self._forgotten[at] = fitting_note(low, (offset for offset in above if offset > low))
        return Noted(low, note)


def fitting_note(low: int, done: Iterable[int]) -> tuple[str, int]:
    """The note of the offsets above `low`, and how many, the lowest, were left out so that a broker takes it."""
    offsets = sorted(done)
    for left_out in range(0, len(offsets), max(1, len(offsets) // 50)):
        note = encode_note(low, offsets[left_out:])
        if len(note) <= LONGEST_NOTE:
            return note, left_out
    return "", len(offsets)


def encode_note(low: int, done: Iterable[int]) -> str:
    """Offsets above `low` as runs, or as bits where those would be too long."""
    offsets = sorted(done)
    note = _as_runs(low, offsets)
    fits = len(note) <= LONGEST_NOTE or offsets[-1] - low > _FARTHEST
    return note if fits else _as_bits(low, offsets)


def decode_note(low: int, note: str) -> Iterable[int]:
    """What `encode_note` was given. A note that is not ours says nothing."""
    if re.fullmatch(re.escape(_RUNS) + r"\d+(\+\d+)?( \d+(\+\d+)?)*", note, re.ASCII):
        yield from _of_runs(low, note.removeprefix(_RUNS))
    elif note.startswith(_BITS):
        yield from _of_bits(low, note.removeprefix(_BITS))


def _as_runs(low: int, offsets: Sequence[int]) -> str:
    """Each by its distance from the one before: `3` one offset, `3+2` two in a row."""
    runs: list[list[int]] = []
    for offset in offsets:
        if runs and offset == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([offset, 1])
    words, before = [], low
    for start, length in runs:
        words.append(f"{start - before}+{length}" if length > 1 else f"{start - before}")
        before = start + length
    return _RUNS + " ".join(words) if words else ""


def _of_runs(low: int, words: str) -> Iterable[int]:
    before = low
    for word in words.split(" "):
        distance, _, length = word.partition("+")
        start = before + int(distance)
        before = start + int(length or 1)
        yield from range(start, before)


def _as_bits(low: int, offsets: Sequence[int]) -> str:
    """One for each offset, from `low` on, compressed."""
    bits = bytearray((offsets[-1] - low) // 8 + 1)
    for offset in offsets:
        place, bit = divmod(offset - low, 8)
        bits[place] |= 1 << bit
    return _BITS + b85encode(zlib.compress(bits, 9)).decode()


def _of_bits(low: int, text: str) -> Iterable[int]:
    try:
        bits = zlib.decompressobj().decompress(b85decode(text), _FARTHEST // 8 + 1)
    except (ValueError, zlib.error):
        return
    for place, byte in enumerate(bits):
        yield from (low + place * 8 + bit for bit in range(8) if byte >> bit & 1)
