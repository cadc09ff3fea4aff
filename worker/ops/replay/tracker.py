"""The way of the replayed entities: waiting, open (sent and not yet checked), done. Pure.

    waiting ──feed──▶ open ──answered──▶ the topic is read to an end taken after that answer ──▶ done
                       ▲                                   │ a newer event
                       └──────────────── sent again ◀──────┘

The worker that runs meanwhile may have sent a newer state while ours was under way, and ours may have landed last. So
an entity is done only when the topic, up to an end that was taken after our answer, holds nothing newer. What comes
behind that end the worker sends after our answer, by its own rules. A request of ours that was given up may land later:
until that is over, 10 s, no end counts for its entity.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.core.delivery_config import CONFIRM_AFTER
from worker.core.event import Entity
from worker.core.outcome import Outcome, Result
from worker.ops.replay.links import Links
from worker.ops.replay.newest import Newest
from worker.ops.replay.range_scan import Refusal, State

Finished = Callable[[Entity, State, Refusal | None], None]


class Room(NamedTuple):
    """How many entities may wait for their first answer, and what all that are open may come to (bytes)."""

    entities: int
    bytes: int


@dataclass(slots=True)
class Open:
    """An entity that was handed out, in this state last. No check counts that begins before `not_before`."""

    state: State
    answered: bool = False
    not_before: float = 0.0


@dataclass(slots=True)
class ReplayTracker:
    """`newest`: the entities of the range, of which it takes one after the other. Times are monotonic seconds.

    `finished` is called with each entity that is done, its last state, and why that was refused.
    """

    newest: Newest
    links: Links = field(default_factory=Links)
    finished: Finished = lambda *_: None
    done: int = 0
    emptied: int = 0
    superseded: int = 0
    open: dict[Entity, Open] = field(default_factory=dict)
    open_bytes: int = 0
    untried: set[Entity] = field(default_factory=set)
    rejected: dict[Entity, Refusal] = field(default_factory=dict)
    failing: dict[Entity, Outcome] = field(default_factory=dict)
    _unchecked: dict[Entity, None] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<ReplayTracker: {self.waiting} waiting, {len(self.open)} open, {self.done} done>"

    @property
    def total(self) -> int:
        return self.newest.total

    @property
    def waiting(self) -> int:
        return self.newest.waiting

    def feed(self, found: Iterator[tuple[Entity, State]], room: Room) -> Iterator[tuple[Entity, State]]:
        """Of what is found in the range, what is to be sent next, as far as there is room."""
        while len(self.untried) < room.entities and self.open_bytes < room.bytes:
            entity, state = next(found, (None, None))
            if entity is None or state is None:
                return
            if not self.newest.take(entity, state.at):
                if self.newest.at(entity) is not None:
                    self.links.meet(entity, state)
            else:
                state = self.links.hand_on(entity, state)
                if state.emptied:
                    self._count_done(entity, state)
                    continue
                self.open[entity] = Open(state)
                self.open_bytes += len(state.value)
                self.untried.add(entity)
                yield entity, state

    def newer(self, entity: Entity, state: State) -> bool:
        """Takes a state that was read meanwhile; True: hand it out too, because an older one was.

        An emptied cart is handed out so that what is not sent yet of the older one is dropped.
        """
        opened = self.open.get(entity)
        if opened is None:
            self.superseded += self.newest.renew(entity, state.at, state.timestamp)
            return False
        if not state.newer_than(opened.state):
            return False
        self.open_bytes += len(state.value) - len(opened.state.value)
        opened.state, opened.answered = state, False
        if state.emptied:
            self.untried.discard(entity)
            self.rejected.pop(entity, None)
        self._unchecked.pop(entity, None)
        self.superseded += 1
        return True

    def answer(self, entity: Entity, outcome: Outcome, now: float) -> None:
        """Notes what came of a request."""
        self.untried.discard(entity)
        opened = self.open[entity]
        if outcome.ambiguous:
            opened.not_before = now + CONFIRM_AFTER
        if outcome.result in (Result.DELIVERED, Result.REJECTED):
            self.failing.pop(entity, None)
        else:
            self.failing[entity] = outcome
        if outcome.result is Result.DELIVERED:
            self.rejected.pop(entity, None)

    def reject(self, entity: Entity, refusal: Refusal) -> None:
        """Unless a newer state was handed out since: then that one's answer counts, which may have come already."""
        if refusal.at != self.open[entity].state.at:
            return
        self.rejected[entity] = refusal
        self.failing.pop(entity, None)

    def settle(self, entity: Entity) -> None:
        """Nothing of the entity is under way or planned any more."""
        self.open[entity].answered = True
        self._unchecked[entity] = None

    def to_check(self, now: float) -> dict[Entity, State]:
        """Entities for which an end of the topic that is taken from now on counts, as they were sent last."""
        ready = [entity for entity in self._unchecked if self.open[entity].not_before <= now]
        for entity in ready:
            del self._unchecked[entity]
        return {entity: self.open[entity].state for entity in ready}

    def checked(self, sent: Mapping[Entity, State]) -> None:
        """The topic was read to that end: what nothing newer was found of is done."""
        for entity, state in sent.items():
            if self.open[entity].state is state:
                del self.open[entity]
                self.open_bytes -= len(state.value)
                self._count_done(entity, state)

    def _count_done(self, entity: Entity, state: State) -> None:
        self.done += 1
        if state.emptied:
            self.emptied += 1
            self.failing.pop(entity, None)
        self.finished(entity, state, self.rejected.get(entity))
