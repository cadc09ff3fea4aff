"""Whether the worker kept its promises: what was written to the topic against what the API's stand-in recorded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worker.core.event import Entity
from worker.sandbox.api import SeenRequest, StoredRecord
from worker.sandbox.demo.crowd import CALLER, crowd_order
from worker.sandbox.demo.history import History, Place, states_of
from worker.sandbox.demo.process import Readings
from worker.sandbox.demo.stage import Letter

_SHOWN: Final = 3
#: Answers that only a request gets that should never have been made.
_FAULTY: Final = frozenset({
    "invalid_api_key",
    "missing_required_parameter",
    "invalid_products_format",
    "too_large",
    "bad_request",
})  # fmt: skip


@dataclass(frozen=True)
class Outage:
    """When the API was down, in UNIX seconds. `resumed`: when the worker sent again; None: it never stopped sending."""

    began: float
    ended: float
    resumed: float | None


@dataclass(frozen=True)
class Evidence:
    """What is left when the worker has stopped. `requests` in order of arrival; `readings`: its last metrics.

    `outage`: None, if there was none. `drained`: the worker ended by itself, in time and with nothing left to do.
    `crowd`: how many carts came at once.
    """

    history: History
    requests: Sequence[SeenRequest]
    records: Sequence[StoredRecord]
    letters: Sequence[Letter]
    committed: Mapping[int, int]
    readings: Readings
    outage: Outage | None
    drained: bool
    crowd: int = 0


@dataclass(frozen=True)
class Check:
    """A promise, and where it was broken."""

    promise: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        if self.holds:
            return f"ok      {self.promise}"
        shown = "; ".join(self.problems[:_SHOWN])
        more = f"; and {len(self.problems) - _SHOWN:,} more" if len(self.problems) > _SHOWN else ""
        return f"NOT OK  {self.promise}: {shown}{more}"


def check(evidence: Evidence) -> list[Check]:
    """Every promise, kept or not."""
    history, requests = evidence.history, evidence.requests
    found: dict[str, Iterable[str]] = {
        "every cart and order is there in its newest state": _newest(history, evidence.records),
        "nothing was sent that is not an event's state": _only_states(history, requests),
        "no older state was sent after a newer one": _in_order(history, requests),
        "what can't be delivered is a dead letter, byte by byte": _letters(history, evidence.letters),
        "everything that was written is committed": _committed(history.ends, evidence.committed),
        "the worker's own counts add up": _counts(history, evidence.readings),
        "the worker ended in good order": () if evidence.drained else ("it did not",),
    }
    if evidence.outage is not None:
        unnoticed = evidence.outage.resumed is None
        found["the outage was noticed, and sending went on after it"] = ("it was not",) if unnoticed else ()
    if evidence.crowd:
        found["a caller's cart went before a crowd that was waiting"] = _passed(requests, evidence.crowd)
    return [Check(promise, tuple(problems)) for promise, problems in found.items()]


def _newest(history: History, records: Iterable[StoredRecord]) -> Iterator[str]:
    stored = {Entity(record.kind, record.id): record.params for record in records}
    expected = history.newest()
    for entity, state in expected.items():
        if entity not in stored:
            yield f"{entity} is missing"
        elif stored[entity] != state.params:
            older = any(stored[entity] == other.params for other in history.states[entity])
            yield f"{entity} is there in an older state" if older else f"{entity} is not what its event says"
    for entity, params in stored.items():
        emptied = entity in history.emptied and any(params == state.params for state in history.states.get(entity, ()))
        if entity not in expected and not emptied:
            yield f"{entity} should not be there"


def _only_states(history: History, requests: Iterable[SeenRequest]) -> Iterator[str]:
    for request in requests:
        if request.outcome in _FAULTY:
            yield f"request {request.seq} was answered {request.outcome}"
        elif _read(request) and not any(request.params == state.params for state in states_of(history, request)):
            yield f"request {request.seq} for {request.kind}:{request.id} is no event's"


def _in_order(history: History, requests: Iterable[SeenRequest]) -> Iterator[str]:
    """Looks for the earliest event that each request can be of, none of them before that of the previous request."""
    reached: dict[Entity, int] = {}
    for request in requests:
        states = states_of(history, request)
        if request.id is None or not any(state.params == request.params for state in states):
            continue
        entity = Entity(request.kind, request.id)
        later = range(reached.get(entity, 0), len(states))
        number = next((number for number in later if states[number].params == request.params), None)
        if number is None:
            yield f"request {request.seq} for {entity} is of an older state than the one before it"
        else:
            reached[entity] = number


def _passed(requests: Iterable[SeenRequest], crowd: int) -> Iterator[str]:
    """Whether at least half of the crowd, whose carts were written before, came after the caller's."""
    order = crowd_order(requests)
    place = order.index(CALLER) if CALLER in order else crowd
    if 2 * place > crowd:
        yield f"{place} of {crowd - 1} carts went before it"


def _letters(history: History, letters: Iterable[Letter]) -> Iterator[str]:
    found = {Place(letter.partition, letter.offset): letter.value for letter in letters}
    refused = history.refused()
    lasting = (states[-1] for entity, states in history.states.items() if entity not in history.emptied)
    last = {state.place for state in lasting if state.refused}
    for place in sorted((history.invalid | last) - found.keys()):
        yield f"there is none for the record at {_at(place)}"
    for place in sorted(found):
        if place not in history.invalid and place not in refused:
            yield f"there is one for the record at {_at(place)}, which can be delivered"
        elif found[place] != history.values[place]:
            yield f"the one for the record at {_at(place)} has other bytes"


def _committed(ends: Mapping[int, int], committed: Mapping[int, int]) -> Iterator[str]:
    for partition, end in ends.items():
        if committed.get(partition) != end:
            yield f"partition {partition} ends at {end}, but {committed.get(partition, 'nothing')} is committed"


def _counts(history: History, readings: Readings) -> Iterator[str]:
    consumed, released = readings.total("events_consumed_total"), readings.total("events_released_total")
    ends = ("delivered", "collapsed", "skipped", "rejected", "released")
    done = sum(readings.total(f"events_{end}_total") for end in ends)
    if consumed != done + readings.total("pending_entities"):
        yield f"it read {consumed:,} events, but knows what became of {done:,}"
    if consumed < len(history.values) or (consumed > len(history.values) and not released):
        yield f"it counted {consumed:,} events of {len(history.values):,}"


def _read(request: SeenRequest) -> bool:
    """Whether the request came in whole before its connection was cut."""
    return bool(request.params) or not request.client_gone


def _at(place: Place) -> str:
    return f"offset {place.offset} of partition {place.partition}"
