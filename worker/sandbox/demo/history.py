"""What the records on the topic mean for the API: the states of each entity, and what must never be sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from worker.core.event import Entity, Event, Skipped
from worker.formats import ReadConfig, encode, read
from worker.sandbox.api import SeenRequest
from worker.sandbox.api.form import parse_form, plain
from worker.sandbox.demo.feed import Produced
from worker.sandbox.traffic import UNKNOWN_VISIT

_CONFIG: Final = ReadConfig()


class Place(NamedTuple):
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class State:
    """An entity as the API is to see it: the parameters as PHP reads them. `at`: UNIX seconds."""

    params: dict[str, Any]
    place: Place
    at: float

    @property
    def refused(self) -> bool:
        """Whether the API refuses it, which in the demo is a matter of the visit alone."""
        return bool(self.params["visit_id"] == UNKNOWN_VISIT)


@dataclass(frozen=True)
class History:
    """`states` in log order: all of an entity's are in one partition. `values`: every record's.

    `emptied`: carts whose last event says that they were emptied. What waited of them then is not sent.
    """

    states: dict[Entity, list[State]] = field(default_factory=dict)
    values: dict[Place, bytes | None] = field(default_factory=dict)
    invalid: set[Place] = field(default_factory=set)
    skipped: set[Place] = field(default_factory=set)
    emptied: set[Entity] = field(default_factory=set)

    @classmethod
    def of(cls, produced: Iterable[Produced]) -> "History":
        """Takes the records ordered by partition and offset."""
        history = cls()
        for record in produced:
            history._add(record)
        return history

    @property
    def ends(self) -> dict[int, int]:
        """By partition, the offset behind the last record."""
        return {partition: offset + 1 for partition, offset in sorted(self.values)}

    def newest(self) -> dict[Entity, State]:
        """What the API must hold in the end. An entity whose visit it doesn't know is not there at all."""
        last = {entity: states[-1] for entity, states in self.states.items() if entity not in self.emptied}
        return {entity: state for entity, state in last.items() if not state.refused}

    def refused(self) -> dict[Place, State]:
        return {state.place: state for states in self.states.values() for state in states if state.refused}

    def _add(self, record: Produced) -> None:
        place = Place(record.partition, record.offset)
        self.values[place] = record.value
        decoded = read(record.value, _CONFIG)
        if isinstance(decoded, Event) and record.value is not None:
            state = State(_params(record.value), place, record.at)
            self.states.setdefault(decoded.entity, []).append(state)
            self.emptied.discard(decoded.entity)
        else:
            if isinstance(decoded, Skipped) and decoded.reason == "empty_products" and decoded.entity is not None:
                self.emptied.add(decoded.entity)
            (self.skipped if isinstance(decoded, Skipped) else self.invalid).add(place)


def states_of(history: History, request: SeenRequest) -> Sequence[State]:
    """Those of the request's entity; none, if no event speaks of it."""
    return () if request.id is None else history.states.get(Entity(request.kind, request.id), ())


def _params(value: bytes) -> dict[str, Any]:
    fields = parse_form(encode(value, _CONFIG, "").body)
    return {str(name): plain(field) for name, field in fields.items() if name != "key"}
