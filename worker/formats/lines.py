"""The lines of a cart or an order, repaired.

In a cart one odd line never hides the rest; in an order no revenue is guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, NoReturn

from worker.formats import nesting, number, values
from worker.formats.draft import Draft, Line, Reading
from worker.formats.model import Details, Product
from worker.formats.values import ABSENT

#: What the API gets for a product without an id, and for lines that were put together.
NO_ID: Final = "n/a"
# A key of the shop's is named in a message only if it can't be anything but a key.
_key = re.compile("[A-Za-z0-9_-]{1,40}").fullmatch


def entries(draft: Draft, reading: Reading) -> list[tuple[int | str, Any]]:
    """The lines with the key or index of each; none: the cart was emptied.

    Raises UnreadableError if there is nothing that holds lines.
    """
    products, name = draft.products, draft.source.products
    if isinstance(products, dict):
        if not draft.source.keyed:
            reading.repaired("products", name)
        return list(products.items())
    if isinstance(products, list):
        return list(enumerate(products))
    if products is ABSENT or not values.is_nothing(products):
        reading.refuse(name, "expected an array")
    reading.repaired("products", name)
    return []


def is_emptied(draft: Draft) -> bool:
    """Whether there are no lines, in a field that says so."""
    products = draft.products
    return products is not ABSENT and (values.is_nothing(products) or products in ([], {}))


def products(draft: Draft, reading: Reading) -> list[Product]:
    """The model's products. Raises UnreadableError."""
    result = []
    for at, (key, raw) in enumerate(entries(draft, reading)):
        if isinstance(raw, dict):
            result.append(_LineReader(raw, key, at, draft, reading).product())
        elif draft.kind == "order":
            reading.refuse(_path(draft, key, at), "expected an object")
        else:
            reading.repaired("line", _path(draft, key, at))
    if not result:
        reading.refuse(draft.source.products, "expected at least one product")
    return result


def _path(draft: Draft, key: int | str, at: int) -> str:
    return f"{draft.source.products}[{key if isinstance(key, int) or _key(key) else at}]"


@dataclass(slots=True)
class _LineReader:
    """Reads the line `raw`, which stands at `key` of its products. `added`: what repairs put into its details."""

    raw: Mapping[str, Any]
    key: int | str
    at: int
    draft: Draft
    reading: Reading
    added: dict[str, Any] = field(default_factory=dict)
    line: Line = field(init=False)

    def path(self) -> str:
        """The line's path in the record."""
        return _path(self.draft, self.key, self.at)

    def product(self) -> Product:
        """The model's product. Raises UnreadableError."""
        self.line = self.draft.source.line(self.raw, self.path, self.reading)
        product_id = self._id()
        name = self._name(product_id)
        price = self._price()
        quantity, price = self._quantity(price)
        details = self._details()
        return Product(product_id, name, quantity, price, _with(self.added, details) if self.added else details)

    def _repaired(self, label: str, name: str) -> None:
        self.reading.repaired(label, f"{self.path()}.{name}")

    def _refuse_number(self, name: str) -> NoReturn:
        self.reading.refuse(f"{self.path()}.{name}", "expected a finite number")

    def _id(self) -> str:
        value = self.line.id
        if isinstance(value, str) and value:
            return value
        if (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and isfinite(value)):
            return number.text(value)
        self._repaired("product_id", self.draft.source.product_id)
        return NO_ID

    def _name(self, product_id: str) -> str:
        name = values.text(self.line.name)
        if name is not None:
            if name[1]:
                self._repaired("text", self.draft.source.product_name)
            return name[0]
        self._repaired("product_name", self.draft.source.product_name)
        other = values.text(self.line.other_name)
        return product_id if other is None else other[0]

    def _price(self) -> str:
        """The unit price. A text that is none is kept in the details of a cart's line."""
        value, name = self.line.price, self.draft.source.price
        price = number.read(value)
        if price is not None:
            if price.repaired:
                self._repaired("number", name)
            return price.text
        text = "0"
        if self.draft.kind == "order":
            text = self._price_of_order(value, name)
        elif isinstance(value, str) and value:
            self.added["price"] = value
        self._repaired("price", name)
        return text

    def _price_of_order(self, value: Any, name: str) -> str:
        """A gift costs nothing; any other price must be told."""
        if value is not ABSENT:
            return "0" if values.is_nothing(value) else self._refuse_number(name)
        subtotal, amount = number.read(self.line.subtotal), number.read(self.line.quantity)
        if subtotal is None or amount is None or amount.text == "0":
            self._refuse_number(name)
        return number.quotient(subtotal.text, amount.text)

    def _quantity(self, price: str) -> tuple[str, str]:
        """Quantity and price: the API takes whole quantities only, so a fraction becomes one piece of its price."""
        value, name = self.line.quantity, self.draft.source.quantity
        quantity = number.read(value, whole=True)
        if quantity is None:
            if self.draft.kind == "order":
                self._refuse_number(name)
            self._repaired("quantity", name)
            return "1", price
        if quantity.is_whole:
            if quantity.repaired:
                self._repaired("number", name)
            return quantity.text, price
        self._repaired("quantity", name)
        exact = number.read(value)
        if exact is not None and exact.repaired:
            self._repaired("number", name)
        self.added = {"amount": quantity.text, "unit_price": price, **self.added}
        subtotal = number.read(self.line.subtotal) if self.line.price is ABSENT and price != "0" else None
        return "1", number.product(quantity.text, price) if subtotal is None else subtotal.text

    def _details(self) -> Details | None:
        """The details; None: there are none, or they can't be read."""
        value = self.line.details
        if values.is_nothing(value) and value is not False:
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, dict | list) and self._is_readable(value):
            return value or None
        self._repaired("optional_field", self.draft.source.details)
        return None

    def _is_readable(self, value: dict[str, Any] | list[Any]) -> bool:
        if nesting.is_nested(value) and not nesting.is_within(nesting.DEEPEST, value):
            return False
        return self.reading.plain or not _has_infinity(value)


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
