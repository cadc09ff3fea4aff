"""Evidence of a run in which all went well, made by hand, for tests to spoil."""

from dataclasses import replace
from typing import Any

import orjson

from worker.adapters.metrics import PREFIX
from worker.sandbox.api import SeenRequest, StoredRecord
from worker.sandbox.demo.check import Evidence, Outage
from worker.sandbox.demo.feed import Produced
from worker.sandbox.demo.history import History, State
from worker.sandbox.demo.process import Readings
from worker.sandbox.demo.stage import Letter
from worker.sandbox.traffic import UNKNOWN_VISIT

START = 1_790_000_000.0
BROKEN = b'{"type":"cart","id":1'


def cart(number: int, quantity: int, visit: str = "v1") -> bytes:
    product = {"id": 7, "name": "Savon", "quantity": quantity, "price": 4.95, "details": {"poids": "300 g"}}
    event = {"type": "cart", "id": number, "currency": "EUR", "visit_id": visit, "is_logged_in": 0}
    return orjson.dumps(event | {"products": [product]})


#: Cart 1 changes three times, the last time in a way that can't be read; the API does not know cart 3's visit.
VALUES = (cart(1, 1), cart(2, 5), cart(1, 2), cart(1, 3), BROKEN, cart(3, 1, UNKNOWN_VISIT), None)
HISTORY = History.of(Produced(value, 0, offset, START + offset) for offset, value in enumerate(VALUES))
FIRST, SECOND, THIRD = next(states for entity, states in HISTORY.states.items() if entity.id == "1")
(OTHER,) = next(states for entity, states in HISTORY.states.items() if entity.id == "2")
(REFUSED,) = next(states for entity, states in HISTORY.states.items() if entity.id == "3")


def request(seq: int, state: State, seconds: float = 100.0, outcome: str = "success", **changes: Any) -> SeenRequest:
    """A request that came in so many seconds after the first record was written, and was answered 0.1 s later."""
    at = START + seconds
    seen = SeenRequest(
        seq=seq,
        kind="cart",
        id=state.params["id"],
        params=state.params,
        arrived_at=at,
        finished_at=at + 0.1,
        outcome=outcome,
        status=200,
        fault=None,
        client_gone=False,
        applied_at=at if outcome == "success" else None,
        applied_late=False,
    )
    return replace(seen, **changes)


def record(state: State, **changes: Any) -> StoredRecord:
    stored = StoredRecord(
        "cart", state.params["id"], state.params, versions=1, seq=1, created_at=START, updated_at=START
    )
    return replace(stored, **changes)


def readings(**changes: float) -> Readings:
    """By name without prefix."""
    counts = {"consumed": 7.0, "delivered": 3.0, "collapsed": 1.0, "skipped": 1.0, "rejected": 2.0, "released": 0.0}
    samples = {f"events_{name}_total": value for name, value in counts.items()} | changes
    return Readings({(PREFIX + name, ()): value for name, value in samples.items()})


REQUESTS = (request(1, FIRST), request(2, OTHER), request(3, THIRD), request(4, REFUSED, outcome="unknown_visit_id"))
RECORDS = (record(THIRD), record(OTHER))
LETTERS = (Letter(0, 4, VALUES[4]), Letter(0, 5, VALUES[5]))
GOOD = Evidence(
    history=HISTORY,
    requests=REQUESTS,
    records=RECORDS,
    letters=LETTERS,
    committed={0: 7},
    readings=readings(),
    outage=Outage(START, START + 3, START + 4),
    drained=True,
)
