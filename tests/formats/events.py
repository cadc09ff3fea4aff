"""Valid events to change, the test vectors and the cases."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from worker.core.event import Event, Invalid, Skipped
from worker.formats import Form, ReadConfig, encode, read

PLAIN = ReadConfig()
_VECTORS = Path(__file__).parents[1] / "vectors"


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()


class Vector(NamedTuple):
    name: str
    value: bytes
    path: str
    form: list[tuple[str, str]]


class Case(NamedTuple):
    """A record as shops write it, and what has to become of it: `right`."""

    name: str
    value: bytes
    right: dict[str, Any]


def vectors() -> list[Vector]:
    return [
        Vector(case["name"], case["value"].encode(), case["path"], [(name, value) for name, value in case["form"]])
        for case in json.loads((_VECTORS / "forms.json").read_text())
    ]


def cases() -> list[Case]:
    found = []
    for expected in sorted((_VECTORS / "cases").glob("*.expected.json")):
        name = expected.name.removesuffix(".expected.json")
        (record,) = [
            expected.with_name(name + end) for end in (".json", ".bin") if expected.with_name(name + end).exists()
        ]
        found.append(Case(name, record.read_bytes(), json.loads(expected.read_text())["right"]))
    return found


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
    """A CS-Cart cart in its envelope."""
    return _changed({"source": "cs-cart", "visit_id": "v1", "currency": "EUR", "cart": shop_cart()}, changes)


def checked_out(**changes: Any) -> dict[str, Any]:
    """A CS-Cart order in its envelope; the changes are the order's own."""
    return envelope(status="Completed", cart=shop_cart(**{"order_id": "1001"} | changes))


def value(event: Any) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event).encode()


def outcome(event: Any, config: ReadConfig = PLAIN, recorded_at: int = -1) -> Event | Skipped | Invalid:
    return read(value(event), config, recorded_at)


def sent(event: Any, config: ReadConfig = PLAIN) -> Event:
    """The event of a record, which has to be valid."""
    found = outcome(event, config)
    assert isinstance(found, Event), found
    return found


def encoded(event: Any, config: ReadConfig = PLAIN, key: str = "k") -> Form:
    sent(event, config)
    return encode(value(event), config, key)


def form(event: Any, config: ReadConfig = PLAIN) -> dict[str, str]:
    """What is sent for an event, which has to be valid, but for the key."""
    first, *parameters = encoded(event, config).pairs()
    assert first == ("key", "k")
    assert len(parameters) == len(dict(parameters))
    return dict(parameters)


def details(event: Any, config: ReadConfig = PLAIN) -> dict[str, str]:
    """What is sent of the first product's details, by the end of its name."""
    prefix = "products[0][details]"
    return {name.removeprefix(prefix): item for name, item in form(event, config).items() if name.startswith(prefix)}


def repairs(event: Any, config: ReadConfig = PLAIN) -> set[str]:
    found = outcome(event, config)
    assert not isinstance(found, Invalid), found
    return set(found.repairs)


def assert_invalid(event: Any, path: str, problem: str = "", config: ReadConfig = PLAIN) -> Invalid:
    found = outcome(event, config)
    assert isinstance(found, Invalid), found
    assert (found.reason, found.path) == ("invalid_event", path)
    assert problem in found.problem
    return found


def nested(depth: int) -> list[Any]:
    """Arrays, `depth` levels of them."""
    levels: list[Any] = []
    for _ in range(depth - 1):
        levels = [levels]
    return levels


def _changed(event: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in (event | changes).items() if item is not ABSENT}
