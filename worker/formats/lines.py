"""The lines of a cart or an order, repaired: in a cart one odd line never hides the rest, in an order no revenue is guessed."""

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from worker.formats import nesting, number, values
from worker.formats.draft import Draft, Line, Reading
from worker.formats.model import Details, Product
from worker.formats.number import Number
from worker.formats.values import ABSENT

#: What the API gets for a product without an id, and for lines that were put together.
NO_ID: Final = "n/a"
_NUMBER: Final = "expected a finite number"
# A key of the shop's is named in a message only if it can't be anything but a key.
_key = re.compile("[A-Za-z0-9_-]{1,40}").fullmatch


def entries(draft: Draft, reading: Reading) -> list[tuple[str, Any]]:
    """The lines with the path of each, as the source has them; none: the cart was emptied.

    Raises UnreadableError if there is nothing that holds lines.
    """
    products, name = draft.products, draft.source.products
    if isinstance(products, dict):
        if not draft.source.keyed:
            reading.repaired("products", name)
        return _named(name, products.items())
    if isinstance(products, list):
        return _named(name, enumerate(products))
    if products is ABSENT or not values.is_nothing(products):
        reading.refuse(name, "expected an array")
    reading.repaired("products", name)
    return []


def is_emptied(draft: Draft) -> bool:
    """Whether there are no lines, in a field that says so."""
    products = draft.products
    return products is not ABSENT and (values.is_nothing(products) or products == [] or products == {})


def products(draft: Draft, reading: Reading) -> list[Product]:
    """The model's products. Raises UnreadableError."""
    result = []
    for path, raw in entries(draft, reading):
        if isinstance(raw, dict):
            result.append(_product(draft.source.line(raw, path, reading), path, draft, reading))
        elif draft.kind == "order":
            reading.refuse(path, "expected an object")
        else:
            reading.repaired("line", path)
    if not result:
        reading.refuse(draft.source.products, "expected at least one product")
    return result


def _named(name: str, items: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [(f"{name}[{key if isinstance(key, int) or _key(key) else at}]", raw) for at, (key, raw) in enumerate(items)]


def _product(line: Line, path: str, draft: Draft, reading: Reading) -> Product:
    source = draft.source
    product_id = _product_id(line.id)
    if product_id is None:
        reading.repaired("product_id", f"{path}.{source.product_id}")
        product_id = NO_ID
    name = values.text(line.name)
    if name is None or name[1]:
        reading.repaired("product_name" if name is None else "text", f"{path}.{source.product_name}")
    if name is None:
        name = values.text(line.other_name)
    extras: dict[str, Any] = {}
    price = _price(line, path, draft, reading, extras)
    quantity, price = _quantity(line, price, path, draft, reading, extras)
    details = _details(line.details, f"{path}.{source.details}", reading)
    return Product(
        product_id,
        product_id if name is None else name[0],
        quantity,
        price,
        _with(extras, details) if extras else details,
    )


def _product_id(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return number.text(value) if isfinite(value) else None


def _price(line: Line, path: str, draft: Draft, reading: Reading, extras: dict[str, Any]) -> str:
    """The unit price. A text that is none is kept in the details."""
    price = number.read(line.price)
    where = f"{path}.{draft.source.price}"
    if price is not None:
        if price.repaired:
            reading.repaired("number", where)
        return price.text
    is_order = draft.kind == "order"
    guessed = _from_subtotal(line) if line.price is ABSENT and is_order else None
    if guessed is None and is_order and (line.price is ABSENT or not values.is_nothing(line.price)):
        reading.refuse(where, _NUMBER)
    reading.repaired("price", where)
    if isinstance(line.price, str) and line.price:
        extras["price"] = line.price
    return "0" if guessed is None else guessed


def _from_subtotal(line: Line) -> str | None:
    """The unit price of a line that has only its sum; None: it can't be told."""
    subtotal, amount = number.read(line.subtotal), number.read(line.quantity)
    if subtotal is None or amount is None or amount.text == "0":
        return None
    return number.quotient(subtotal.text, amount.text)


def _quantity(
    line: Line, price: str, path: str, draft: Draft, reading: Reading, extras: dict[str, Any]
) -> tuple[str, str]:
    """Quantity and price: the API takes whole quantities only, so a fraction becomes one piece of its price."""
    quantity = number.read(line.quantity, whole=True)
    where = f"{path}.{draft.source.quantity}"
    if quantity is None:
        if draft.kind == "order":
            reading.refuse(where, _NUMBER)
        reading.repaired("quantity", where)
        return "1", price
    if quantity.is_whole:
        if quantity.repaired:
            reading.repaired("number", where)
        return quantity.text, price
    reading.repaired("quantity", where)
    if _was_rounded(line.quantity):
        reading.repaired("number", where)
    unkept = extras.copy()
    extras.clear()
    extras.update({"amount": quantity.text, "unit_price": price, **unkept})
    return "1", number.product(quantity.text, price)


def _was_rounded(value: Any) -> bool:
    read: Number | None = number.read(value)
    return read is not None and read.repaired


def _details(value: Any, path: str, reading: Reading) -> Details | None:
    """The details; None: there are none, or they can't be read."""
    if values.is_nothing(value) and value is not False:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list) and nesting.is_within(nesting.DEEPEST, value) and not _has_infinity(value):
        return value or None
    reading.repaired("optional_field", path)
    return None


def _has_infinity(value: Any) -> bool:
    level = [value]
    while level:
        children = [child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent)]
        if any(isinstance(child, float) and not isfinite(child) for child in children):
            return True
        level = [child for child in children if isinstance(child, dict | list)]
    return False


def _with(extras: dict[str, Any], details: Details | None) -> dict[str, Any]:
    """The details with what a repair adds: it comes first, and takes the place of no key of the shop's."""
    if not isinstance(details, dict):
        return extras if details is None else {**extras, "text": details}
    return {**{name: value for name, value in extras.items() if name not in details}, **details}
