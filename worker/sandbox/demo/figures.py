"""How much was saved, and how fresh the API was."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from worker.core.event import Entity
from worker.sandbox.api import SeenRequest
from worker.sandbox.demo.history import History, State, states_of


@dataclass(frozen=True)
class Change:
    """An event's state: when it was written, and when the API had it or a newer one. UNIX seconds."""

    at: float
    known_at: float

    @property
    def seconds(self) -> float:
        return max(0.0, self.known_at - self.at)


def changes(history: History, requests: Iterable[SeenRequest]) -> Iterator[Change]:
    """Every state that the API came to know, be it by a newer one."""
    reached: dict[Entity, int] = {}
    applied = (request for request in requests if request.applied_at is not None and request.id is not None)
    for request in sorted(applied, key=attrgetter("applied_at")):
        states = states_of(history, request)
        entity = Entity(request.kind, request.id or "")
        first, known_at = reached.get(entity, 0), request.applied_at or 0.0
        number = _newest_like(states, request)
        yield from (Change(state.at, known_at) for state in states[first : number + 1])
        reached[entity] = max(first, number + 1)


def percentile(values: Iterable[float], part: float) -> float:
    """The smallest value that at least this part of them doesn't exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def _newest_like(states: Sequence[State], request: SeenRequest) -> int:
    """The newest event that was there when the request came and looks like it; -1: none."""
    alike = (n for n, state in enumerate(states) if state.at <= request.arrived_at and state.params == request.params)
    return max(alike, default=-1)
