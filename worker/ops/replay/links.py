"""Links to calls that a live replay hands on within its range, as the worker does where it collapses. Pure.

Its second pass meets older states before the newest one, which it sends: so it holds no more than the links of entities
that are still to come.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from worker.core.calls import Link, inherited, link
from worker.core.event import Entity
from worker.ops.replay.range_scan import State

log = structlog.get_logger(__name__)

#: So many entities' links are held at a time, some 50 MB; of more, the first ones are given up.
_MOST: Final = 100_000

_Key = tuple[Entity, str, int]


@dataclass(slots=True)
class Links:
    """By entity and partition: states of different partitions do not replace one another."""

    most: int = _MOST
    _links: dict[_Key, Link] = field(default_factory=dict)
    _told: bool = False

    def meet(self, entity: Entity, state: State) -> None:
        """A state that is not the newest."""
        key = _key(entity, state)
        found = None if state.emptied else self._of(key, state)
        if found is None:
            self._links.pop(key, None)
            return
        self._links[key] = found
        if len(self._links) > self.most:
            del self._links[next(iter(self._links))]
            self._tell()

    def hand_on(self, entity: Entity, state: State) -> State:
        """The newest state, with the link that it inherits. Nothing is held of its entity any more."""
        key = _key(entity, state)
        found = self._of(key, state)
        self._links.pop(key, None)
        if found is None:
            return state
        call_id, agent = found.texts
        return replace(state, call_id=call_id, agent=agent)

    def _of(self, key: _Key, state: State) -> Link | None:
        written_at = state.timestamp / 1000
        own, older = link(state.call_id, state.agent, state.at.offset, written_at), self._links.get(key)
        return own if older is None else inherited(older, own, written_at)

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            log.warning("too many links to calls are in the range; some states are sent without theirs", most=self.most)


def _key(entity: Entity, state: State) -> _Key:
    return entity, state.at.topic, state.at.partition
