"""Calls first: which entity's customer is on the phone just now, and which link to a call a collapse hands on. Pure.

An *entity* is on a call, not an event: the caller's own clicks carry neither `call_id` nor `agent`. What follows from
it (a shorter window, a place before others, three starts of four) is done in `queues`; `settling` hands links on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from sys import getsizeof
from typing import Final, NamedTuple

from worker.core.event import Entity

#: An entity is on a call for so long after the record timestamp of its last event with a link (s).
CALL_LASTS: Final = 900.0
#: A link is not handed on to a state whose record is so much younger (s).
LINK_LASTS: Final = 86_400.0
#: The longest wait for a retry of an entity on a call after its event was replaced, unless `Retry-After` asks (s).
CALL_RETRY: Final = 2.0
#: So many requests of entities on a call start in a row, at most, while another entity is due.
IN_A_ROW: Final = 3
#: So many entities on a call are remembered; of more, those whose calls end first are forgotten.
MOST_CALLS: Final = 10_000
#: What a link costs beside its texts, in bytes, about.
_OVERHEAD: Final = 300


class Said(NamedTuple):
    """A `call_id` or an `agent`: its text, and the record that says so, by offset and timestamp (monotonic s)."""

    text: str
    offset: int
    written_at: float


class Link(NamedTuple):
    """An event's link to a call: what its record says, or what it inherited from records that it replaced."""

    call_id: Said | None
    agent: Said | None

    @property
    def texts(self) -> tuple[str | None, str | None]:
        """The call id and the agent that the request is to have."""
        return self.call_id and self.call_id.text, self.agent and self.agent.text

    def carried(self, offset: int) -> set[int]:
        """Offsets of other records than the event's own whose links it carries."""
        return {said.offset for said in self if said is not None} - {offset}

    def size(self, offset: int) -> int:
        """What the record's own part of it takes in memory, in bytes, about."""
        return _OVERHEAD + sum(getsizeof(said.text) for said in self if said is not None and said.offset == offset)


def link(call_id: str | None, agent: str | None, offset: int, written_at: float) -> Link | None:
    """What a record says itself; None: nothing."""
    if call_id is None and agent is None:
        return None
    return Link(
        None if call_id is None else Said(call_id, offset, written_at),
        None if agent is None else Said(agent, offset, written_at),
    )


def inherited(older: Link, newer: Link | None, written_at: float) -> Link | None:
    """The link of a state whose record was written at `written_at` and that replaces one with an older link.

    It gets what it lacks, unless the two contradict or the older record is too old.
    """
    call_id, agent = (said if said and written_at - said.written_at <= LINK_LASTS else None for said in older)
    if newer is not None:
        if _differ(call_id, newer.call_id) or _differ(agent, newer.agent):
            return newer
        call_id, agent = newer.call_id or call_id, newer.agent or agent
    return Link(call_id, agent) if call_id or agent else None


def _differ(older: Said | None, newer: Said | None) -> bool:
    return older is not None and newer is not None and older.text != newer.text


@dataclass(slots=True)
class Calls:
    """Which entities are on a call, and until when (monotonic seconds). At most `most` are remembered.

    What a partition's records said is forgotten with the partition.
    """

    most: int = MOST_CALLS
    _until: dict[Entity, tuple[float, tuple[str, int]]] = field(default_factory=dict)
    #: The same, for those who only look.
    by_entity: Mapping[Entity, tuple[float, tuple[str, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_entity = self._until

    def __len__(self) -> int:
        return len(self._until)

    def note(self, entity: Entity, partition: tuple[str, int], written_at: float, now: float) -> None:
        """A record of the partition links the entity to a call. A timestamp that is ahead counts as `now`."""
        until = min(written_at, now) + CALL_LASTS
        known = self._until.get(entity)
        if until <= now or (known is not None and known[0] >= until):
            return
        if known is None and len(self._until) >= self.most:
            self._forget(now)
        self._until[entity] = until, partition

    def end(self, partition: tuple[str, int]) -> None:
        """The partition has gone."""
        for entity in [entity for entity, (_, of) in self._until.items() if of == partition]:
            del self._until[entity]

    def _forget(self, now: float) -> None:
        """Calls that are over; if these are too few, a tenth more, so that not every new one looks at all."""
        left = {entity: call for entity, call in self._until.items() if call[0] > now}
        if len(left) > self.most * 9 // 10:
            left = dict(nlargest(self.most * 9 // 10, left.items(), key=lambda item: item[1][0]))
        self._until.clear()
        self._until.update(left)


@dataclass(slots=True)
class CallShare:
    """Tells when calls are so many that putting them first means nothing. Looks at `every` events at a time."""

    every: int = 1000
    _events: int = 0
    _calls: int = 0
    _most: bool = False

    def add(self, events: int, calls: int) -> float | None:
        """Takes a batch of so many events, `calls` of them with a link.

        Returns the share of these when it first comes to more than half; None: nothing new.
        """
        self._events += events
        self._calls += calls
        if self._events < self.every:
            return None
        share, before = self._calls / self._events, self._most
        self._events, self._calls, self._most = 0, 0, share > 0.5  # noqa: PLR2004 - half
        return share if self._most and not before else None
