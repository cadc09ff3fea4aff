"""Valid events to change, and the test vectors."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from worker.core.event import Event, Invalid, Skipped
from worker.formats import ReadConfig, encode, read

DEFAULT = ReadConfig()
KEY = "k"


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()


class Vector(NamedTuple):
    name: str
    value: bytes
    path: str
    form: list[tuple[str, str]]


def vectors() -> list[Vector]:
    file = Path(__file__).parents[1] / "vectors" / "forms.json"
    return [
        Vector(case["name"], case["value"].encode(), case["path"], [(name, value) for name, value in case["form"]])
        for case in json.loads(file.read_text())
    ]


def product(**changes: Any) -> dict[str, Any]:
    return _changed({"id": 1, "name": "Product 1", "quantity": 2, "price": 29.99}, changes)


def cart(**changes: Any) -> dict[str, Any]:
    event = {"type": "cart", "id": "42", "currency": "EUR", "visit_id": "v1", "products": [product()]}
    return _changed(event | {"is_logged_in": 1}, changes)


def order(**changes: Any) -> dict[str, Any]:
    event = {"type": "order", "id": "1001", "cart_id": "42", "currency": "EUR", "visit_id": "v1"}
    return _changed(event | {"products": [product()], "status": "Completed"}, changes)


def shop_product(**changes: Any) -> dict[str, Any]:
    return _changed({"product_id": "7", "product": "Mug", "amount": "1", "price": "5.00"}, changes)


def shop_cart(**changes: Any) -> dict[str, Any]:
    return _changed({"user_id": "42", "order_id": "0", "products": [shop_product()]}, changes)


def envelope(**changes: Any) -> dict[str, Any]:
    event = {"source": "cs-cart", "visit_id": "v1", "currency": "EUR", "cart": shop_cart()}
    return _changed(event, changes)


def value(event: Any) -> bytes:
    return json.dumps(event).encode()


def outcome_of(event: Any, config: ReadConfig = DEFAULT) -> Event | Skipped | Invalid:
    return read(value(event), config)


def form(event: Any, config: ReadConfig = DEFAULT) -> dict[str, str]:
    """What is sent for an event, which has to be valid, without the key."""
    outcome = outcome_of(event, config)
    assert isinstance(outcome, Event), outcome
    pairs = encode(value(event), config, KEY).pairs()
    assert len(pairs) == len(dict(pairs))
    assert pairs[0] == ("key", KEY)
    return dict(pairs[1:])


def assert_invalid(event: Any, path: str, problem: str, config: ReadConfig = DEFAULT) -> Invalid:
    outcome = outcome_of(event, config)
    assert isinstance(outcome, Invalid), outcome
    assert (outcome.reason, outcome.path) == ("invalid_event", path)
    assert problem in outcome.problem
    return outcome


def nested(depth: int) -> list[Any]:
    """Arrays, `depth` levels of them."""
    levels: list[Any] = []
    for _ in range(depth - 1):
        levels = [levels]
    return levels


def _changed(event: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in (event | changes).items() if item is not ABSENT}
