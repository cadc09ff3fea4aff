"""Which record holds the newest state of each entity: 32 to 48 bytes an entity, however large its events. Pure.

A range of millions of entities could not be held as events, nor as objects that say where these stand. So this is a
hash table in arrays. An entity stands there as 86 bits of hashes: among ten million entities two are taken for one
with a probability of 10^-12.
"""

from array import array
from binascii import crc32
from typing import Final

from worker.core.event import Entity
from worker.core.state import RecordPosition

_SHARDS: Final = 256
_SMALLEST: Final = 16
_HASH: Final = 2**64 - 1
_CHECK_BITS: Final = 22
_CHECK: Final = 2**_CHECK_BITS - 1
_TIME: Final = 2**42 - 1
_OFFSET_BITS: Final = 48
_OFFSET: Final = 2**_OFFSET_BITS - 1
_TAKEN: Final = 2**64 - 1


class Newest:
    """Entities with the position of their newest event, until each is taken. `renewed`: `renew` has changed any.

    Within a partition the later event is the newer one. Between partitions the records' times (ms) decide;
    where these are equal, what was added last. An offset may be -1: before the first record.
    """

    def __init__(self) -> None:
        self._shards = [_Shard() for _ in range(_SHARDS)]
        self._partitions: list[tuple[str, int]] = []
        self._numbers: dict[tuple[str, int], int] = {}
        self.total = 0
        self.waiting = 0
        self.renewed = False

    def __repr__(self) -> str:
        return f"<Newest: {self.waiting} of {self.total} waiting>"

    def put(self, entity: Entity, at: RecordPosition, timestamp: int) -> None:
        """Adds an entity, or renews it."""
        if self._renew(entity, at, timestamp, add=True) is None:
            self.total += 1
            self.waiting += 1

    def renew(self, entity: Entity, at: RecordPosition, timestamp: int) -> bool:
        """Notes a newer event; False: the entity is unknown or taken, or this event is no newer."""
        changed = bool(self._renew(entity, at, timestamp, add=False))
        self.renewed |= changed
        return changed

    def at(self, entity: Entity) -> RecordPosition | None:
        """Where the newest event stands; None: the entity is unknown or taken."""
        shard, slot, _, _ = self._find(entity)
        if slot < 0 or shard.places[slot] == _TAKEN:
            return None
        place = shard.places[slot]
        return RecordPosition(*self._partitions[place >> _OFFSET_BITS], (place & _OFFSET) - 1)

    def take(self, entity: Entity, at: RecordPosition) -> bool:
        """Whether this event is the newest of an entity that waits; from then on it does so no more."""
        shard, slot, _, _ = self._find(entity)
        if slot < 0 or shard.places[slot] != self._place(at):
            return False
        shard.places[slot] = _TAKEN
        self.waiting -= 1
        return True

    def _renew(self, entity: Entity, at: RecordPosition, timestamp: int, *, add: bool) -> bool | None:
        """Whether something changed; None: the entity was unknown."""
        shard, slot, key, check = self._find(entity)
        place, mark = self._place(at), min(max(timestamp, 0), _TIME) << _CHECK_BITS | check
        if slot < 0:
            if add:
                shard.insert(~slot, key, place, mark)
            return None
        known = shard.places[slot]
        if known == _TAKEN:
            return False
        if known >> _OFFSET_BITS == place >> _OFFSET_BITS:
            newer = place > known
        else:
            newer = mark >> _CHECK_BITS >= shard.marks[slot] >> _CHECK_BITS
        if newer:
            shard.places[slot], shard.marks[slot] = place, mark
        return newer

    def _find(self, entity: Entity) -> "tuple[_Shard, int, int, int]":
        key = hash(entity) & _HASH or 1
        check = crc32(entity.id.encode(errors="surrogatepass")) & _CHECK
        shard = self._shards[key % _SHARDS]
        return shard, shard.find(key, check), key, check

    def _place(self, at: RecordPosition) -> int:
        number = self._numbers.get(at[:2])
        if number is None:
            number = self._numbers[at[:2]] = len(self._partitions)
            self._partitions.append(at[:2])
        return number << _OFFSET_BITS | (at.offset + 1)


class _Shard:
    """One small table, so that growing holds little twice. Open addressing; a key of 0 is a free slot."""

    __slots__ = ("keys", "marks", "places", "used")

    def __init__(self) -> None:
        self.used = 0
        self._clear(_SMALLEST)

    def find(self, key: int, check: int) -> int:
        """The key's slot, or the complement (~) of the free one where it belongs."""
        keys, marks = self.keys, self.marks
        slot = (key >> 8) % len(keys)
        while (found := keys[slot]) != 0:
            if found == key and marks[slot] & _CHECK == check:
                return slot
            slot += 1
            if slot == len(keys):
                slot = 0
        return ~slot

    def insert(self, slot: int, key: int, place: int, mark: int) -> None:
        self.keys[slot], self.places[slot], self.marks[slot] = key, place, mark
        self.used += 1
        if 4 * self.used > 3 * len(self.keys):
            self._grow()

    def _grow(self) -> None:
        old = zip(self.keys, self.places, self.marks, strict=True)
        self._clear(len(self.keys) * 3 // 2)
        for key, place, mark in old:
            if key:
                slot = ~self.find(key, mark & _CHECK)
                self.keys[slot], self.places[slot], self.marks[slot] = key, place, mark

    def _clear(self, size: int) -> None:
        empty = bytes(8 * size)
        self.keys, self.places, self.marks = array("Q", empty), array("Q", empty), array("Q", empty)
