"""Which letters are done: the committed offsets of a group that nobody is a member of, `GROUP-redrive`.

In each partition of the dead-letter topic all letters below the committed offset are done; those above it that are
done stand in the note that Kafka keeps beside the offset, because whoever redrives by reason leaves gaps.
"""

import re
from collections.abc import Collection, Iterable, Mapping

from worker.adapters.kafka.admin import Admin, Noted
from worker.core.ownership import Partition
from worker.ops.dlq.letter import Coordinates
from worker.ops.terminal import CommandError

SUFFIX = "-redrive"
#: A broker refuses more than 4096 bytes (offset.metadata.max.bytes).
LONGEST_NOTE = 4000
_VERSION = "1:"


class Memory:
    """Read once, confirmed before the first batch, and written after each. Raises as `Admin` does."""

    def __init__(self, admin: Admin, group: str) -> None:
        self.group = group + SUFFIX
        self._admin = admin
        self._known = admin.noted(self.group)
        self._low = {at: noted.offset for at, noted in self._known.items()}
        self._above = {at: set(decode_note(*noted)) for at, noted in self._known.items()}
        self.saved = True

    def starts(self) -> Mapping[Partition, int]:
        """Nothing below these is open."""
        return self._low

    def __contains__(self, where: object) -> bool:
        if not isinstance(where, Coordinates):
            return False
        return where.offset < self._low.get(where.at, 0) or where.offset in self._above.get(where.at, ())

    def add(self, where: Coordinates) -> None:
        """To be saved: as long as it is not, `saved` is false."""
        self._above.setdefault(where.at, set()).add(where.offset)
        self.saved = False

    def confirm(self, letters: Mapping[Partition, Collection[int]], ends: Mapping[Partition, int]) -> None:
        """As `save`, also where that changes nothing: who may not commit learns it before anything is sent."""
        self._commit({at: self._noted(at, offsets, ends[at]) for at, offsets in letters.items()})

    def save(self, letters: Mapping[Partition, Collection[int]], ends: Mapping[Partition, int]) -> None:
        """Commits what is done. `letters`: the offsets of all that there are from `starts` to `ends`.

        Raises CommandError if somebody else has committed meanwhile, or if there are more gaps than can be noted.
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
        note = encode_note(low, (offset for offset in above if offset > low))
        if len(note) > LONGEST_NOTE:
            raise CommandError(f"too many gaps on {at} to be remembered; redrive the letters from {at}-{low} on first")
        return Noted(low, note)


def encode_note(low: int, done: Iterable[int]) -> str:
    """Offsets above `low` as runs, each by its distance from the one before: `3` one offset, `3+2` two in a row."""
    runs: list[list[int]] = []
    for offset in sorted(done):
        if runs and offset == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([offset, 1])
    words, before = [], low
    for start, length in runs:
        words.append(f"{start - before}+{length}" if length > 1 else f"{start - before}")
        before = start + length
    return _VERSION + " ".join(words) if words else ""


def decode_note(low: int, note: str) -> Iterable[int]:
    """What `encode_note` was given. A note that is not ours says nothing."""
    if not re.fullmatch(re.escape(_VERSION) + r"\d+(\+\d+)?( \d+(\+\d+)?)*", note, re.ASCII):
        return
    before = low
    for word in note.removeprefix(_VERSION).split(" "):
        distance, _, length = word.partition("+")
        start = before + int(distance)
        before = start + int(length or 1)
        yield from range(start, before)
