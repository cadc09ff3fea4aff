"""What the range of a replay holds: the entities that occur in it, and where the newest state of each stands. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.core.event import Entity, Event, Invalid, Skipped
from worker.core.state import RecordPosition
from worker.ops.replay.newest import Newest


@dataclass(frozen=True, slots=True)
class State:
    """What a record says of its entity. `timestamp` is the record's, in milliseconds; `value` its bytes.

    `emptied`: its cart was emptied, so there is nothing to send. `call_id` and `agent`: its link to a call, with what
    it inherited from older states of the range. `key`: the record's.
    """

    at: RecordPosition
    timestamp: int
    value: bytes
    emptied: bool = False
    call_id: str | None = None
    agent: str | None = None
    key: bytes | None = None

    def newer_than(self, other: "State") -> bool:
        """By log order within a partition. Between partitions it means nothing, and the records' times must do.

        Where these are equal too, either counts as newer than the other: what is read later then wins.
        """
        if self.at[:2] == other.at[:2]:
            return self.at.offset > other.at.offset
        return self.timestamp >= other.timestamp


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that could not be delivered, and why. `entity`: cart, order or unknown."""

    at: RecordPosition
    entity: str
    reason: str
    message: str


@dataclass(slots=True)
class RangeScan:
    """`ids`: the only entities that are meant; empty: all.

    An event that is invalid, or has nothing to send, takes no older valid one of its entity with it; only an emptied
    cart does.
    """

    ids: frozenset[Entity] = frozenset()
    events: int = 0
    newest: Newest = field(default_factory=Newest)
    _invalid: list[tuple[RecordPosition, Invalid]] = field(default_factory=list)

    def meet(self, state: State, decoded: Event | Skipped | Invalid, *, in_range: bool) -> None:
        """Takes one record. Those behind the range only renew what was found in it."""
        self.events += in_range
        entity = entity_of(decoded)
        if entity is not None:
            self._take(entity, state, in_range=in_range)
        elif isinstance(decoded, Invalid) and in_range and (not self.ids or _entity(decoded) in self.ids):
            self._invalid.append((state.at, decoded))

    def invalid(self) -> Iterator[Refusal]:
        """What can't be sent, unless a newer event of the same entity can."""
        for at, invalid in self._invalid:
            entity = _entity(invalid)
            newer = None if entity is None else self.newest.at(entity)
            if newer is None or newer[:2] != at[:2] or newer.offset < at.offset:
                yield Refusal(at, invalid.kind, invalid.reason, invalid.message)

    def _take(self, entity: Entity, state: State, *, in_range: bool) -> None:
        if not in_range:
            self.newest.renew(entity, state.at, state.timestamp)
        elif not self.ids or entity in self.ids:
            self.newest.put(entity, state.at, state.timestamp)


def entity_of(decoded: Event | Skipped | Invalid) -> Entity | None:
    """The entity whose state the record is: of an event, or of an emptied cart."""
    if isinstance(decoded, Event):
        return decoded.entity
    return decoded.entity if isinstance(decoded, Skipped) and decoded.reason == "empty_products" else None


def _entity(invalid: Invalid) -> Entity | None:
    if invalid.id is None or invalid.kind == "unknown":
        return None
    return Entity(invalid.kind, invalid.id)
