"""Native events: the API's own parameter names, plus `type` (Cart API, sections customer-cart and customer-order)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from worker.formats import values
from worker.formats.draft import Draft, Line, Reading, Source
from worker.formats.values import ABSENT

SOURCE: Final = "optico"
ID: Final = "expected a string or an integer, not empty"


def draft(tree: Mapping[str, Any], reading: Reading) -> Draft:
    """The event's values. Raises UnreadableError where its kind or an id can't be read."""
    kind = tree.get("type")
    if kind not in ("cart", "order"):
        reading.refuse("type", 'expected "cart" or "order"')
    reading.kind = kind
    entity_id = identity(tree, "id", "id", reading)
    reading.id = entity_id
    return Draft(
        NATIVE,
        kind,
        entity_id,
        identity(tree, "cart_id", "cart_id", reading) if kind == "order" else "",
        tree.get("currency"),
        tree.get("visit_id"),
        tree.get("products", ABSENT),
        tree.get("status"),
        tree.get("is_logged_in", ABSENT),
        tree.get("call_id"),
        tree.get("agent"),
        tree.get("occurred_at"),
    )


def identity(tree: Mapping[str, Any], name: str, path: str, reading: Reading, expected: str = ID) -> str:
    """The id in a field. Raises UnreadableError."""
    found = values.identity(tree.get(name))
    if found is None:
        reading.refuse(path, expected)
    if found[1]:
        reading.repaired("number", path)
    return found[0]


def line(product: Mapping[str, Any], path: Callable[[], str], reading: Reading) -> Line:
    """The values of a product."""
    del path, reading
    return Line(
        product.get("id", ABSENT),
        product.get("name", ABSENT),
        product.get("quantity", ABSENT),
        product.get("price", ABSENT),
        product.get("details"),
    )


NATIVE: Final = Source(line)
