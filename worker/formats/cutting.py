"""Cutting an event to what the API's side takes of a request: visibly, no more than needed, and with its sum kept.

PHP drops form fields beyond `max_input_vars` without a word, and web servers refuse long bodies. So what goes first is
what an agent needs least: the details of lines, from the last line backwards; then lines, also from the last backwards,
into one line `+N` that has their sum as its price. The order of steps is the contract's (docs/events.md).

Nothing is encoded before it is known that it may fit, so the cost is bounded by the limits and not by what was sent.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import frexp
from typing import Any, Final, NamedTuple

from worker.formats import form, nesting, number
from worker.formats.config import LONGEST_BODY, Limits
from worker.formats.model import Content, Details, Product

_ELLIPSIS: Final = "…"
_KEPT: Final = ("amount", "unit_price")
_NO_LIMIT: Final = 1 << 62
#: Form fields of a line without its details, and what their names and separators take at least.
_FIELDS: Final = 4
_NAMES: Final = 110
#: Form fields before the lines, with the key, at most.
_SCALARS: Final = 8
#: What the name of details takes at least, without the value and with it.
_DETAILS: Final = 29
#: What the brackets around a name within details take, encoded.
_BRACKETS: Final = 6


class TooLargeError(ValueError):
    """Not even without its lines does the event come down to the limits."""


class _Size(NamedTuple):
    """Form fields and bytes."""

    fields: int
    bytes: int

    def holds(self, fields: int, size: int) -> bool:
        return fields <= self.fields and size <= self.bytes


def is_small(content: Content, size: int, limits: Limits) -> bool:
    """Whether a content that was read out of so many bytes surely fits, at a fraction of the cost of `fits`.

    Fields are counted: lines with nothing and options without names have more of them than their bytes would tell.
    """
    if size > limits.small:
        return False
    fields = _SCALARS
    for product in content.products:
        details = product.details
        fields += _FIELDS
        if isinstance(details, str):
            fields += 1
        elif details:
            if nesting.is_nested(details):
                return False
            fields += len(details)
    return fields <= (limits.fields or _NO_LIMIT)


def cut(content: Content, limits: Limits) -> bool:
    """Cuts the content's products to the limits; True if that was needed. Raises TooLargeError."""
    room = _room(content, limits)
    if _fits(content.products, room):
        return False
    content.products = _shortened(content.products, room) or _dropped(content.products, room)
    return True


def _room(content: Content, limits: Limits) -> _Size:
    """What the key and the scalars leave for the products."""
    head = form.head(content)
    fields = limits.fields or _NO_LIMIT
    size = limits.body_bytes or LONGEST_BODY
    return _Size(fields - 1 - head.count("&"), size - len("key=") - limits.key_bytes - len(head))


def _fits(products: Sequence[Product], room: _Size) -> bool:
    return _least(products, room) and _exact(products, room)


def _least(products: Sequence[Product], room: _Size) -> bool:
    """Whether the products may fit, by what they take at least."""
    fields, size = _bare(products)
    if not room.holds(fields, size):
        return False
    for product in products:
        more = _at_least(product.details, room)
        fields, size = fields + more.fields, size + more.bytes
        if not room.holds(fields, size):
            return False
    return True


def _exact(products: Sequence[Product], room: _Size) -> bool:
    fields = size = 0
    for at, product in enumerate(products):
        encoded = form.line(at, product)
        fields, size = fields + encoded.count("&"), size + len(encoded)
        if not room.holds(fields, size):
            return False
    return True


def _bare(products: Sequence[Product]) -> _Size:
    """What the products take at least without their details."""
    return _Size(_FIELDS * len(products), sum([len(product.name) for product in products]) + _NAMES * len(products))


def _shortened(products: Sequence[Product], room: _Size) -> list[Product] | None:
    """The products with shorter details; None: that does not suffice."""
    if not room.holds(*_bare(products)):
        return None
    lines = list(products)
    sizes = [_line_size(at, product, room) for at, product in enumerate(lines)]
    fields, size = sum(each.fields for each in sizes), sum(each.bytes for each in sizes)
    for shorter in (_to_ellipsis, _to_kept, _to_nothing):
        for at in reversed(range(len(lines))):
            if room.holds(fields, size):
                return lines
            smaller = _with_details(lines[at], shorter)
            if smaller is None:
                continue
            after, before = _line_size(at, smaller, room), sizes[at]
            if (fields > room.fields and after.fields < before.fields) or (
                size > room.bytes and after.bytes < before.bytes
            ):
                lines[at], sizes[at] = smaller, after
                fields, size = fields - before.fields + after.fields, size - before.bytes + after.bytes
    return lines if room.holds(fields, size) else None


def _line_size(at: int, product: Product, room: _Size) -> _Size:
    """A line's size, exact where it may fit; else at least so much, which is too much in any case."""
    details = _at_least(product.details, room)
    if not room.holds(details.fields, details.bytes + len(product.name)):
        return _Size(_FIELDS + details.fields, _NAMES + len(product.name) + details.bytes)
    encoded = form.line(at, product)
    return _Size(encoded.count("&"), len(encoded))


def _with_details(product: Product, shorter: Callable[[Details], Details | None]) -> Product | None:
    """The product with shorter details; None: this step leaves them as they are."""
    if not product.details:
        return None
    details = shorter(product.details)
    if details == product.details:
        return None
    return Product(product.id, product.name, product.quantity, product.price, details)


def _dropped(products: Sequence[Product], room: _Size) -> list[Product]:
    """As many of the first lines as fit, without details, and one line for the others. Raises TooLargeError."""
    kept: list[Product] = []
    sizes: list[int] = []
    left = room.bytes
    for at, product in enumerate(products[: max(0, room.fields // _FIELDS - 1)]):
        if _NAMES + len(product.name) > left:
            break
        bare = Product(product.id, product.name, product.quantity, product.price)
        size = len(form.line(at, bare))
        if size > left:
            break
        kept.append(bare)
        sizes.append(size)
        left -= size
    price = _sum(products[len(kept) :])
    while True:
        rest = Product("n/a", f"+{len(products) - len(kept)}", 1, number.of_decimal(price))
        if room.fields >= _FIELDS and len(form.line(len(kept), rest)) <= left:
            return [*kept, rest]
        if not kept:
            raise TooLargeError("the request is too large even without its products")
        left += sizes.pop()
        price += _sum([kept.pop()])


def _sum(products: Sequence[Product]) -> Decimal:
    """Σ quantity × price, exactly."""
    total = Decimal(0)
    for product in products:
        total = number.add(total, number.text(product.quantity), number.text(product.price))
    return total


def _at_least(details: Details | None, room: _Size) -> _Size:
    """Form fields and bytes that details take at least, counted until there are too many of either."""
    if not details:
        return _Size(0, 0)
    if isinstance(details, str):
        return _Size(1, _DETAILS + len(details))
    fields = size = 0
    todo: list[tuple[int, Any]] = [(_DETAILS, details)]  # the bytes of a value's name at least, and the value
    while todo and room.holds(fields, size):
        name, value = todo.pop()
        if isinstance(value, dict):
            todo += [(name + _BRACKETS + len(key), child) for key, child in value.items()]
        elif isinstance(value, list):
            todo += [(name + _BRACKETS + 1, child) for child in value]
        elif value is not None:
            fields += 1
            size += name + (len(value) if isinstance(value, str) else _digits(value))
    return _Size(fields, size)


def _digits(value: Any) -> int:
    """How many digits a number has at least, with all its zeros."""
    exponent: int = frexp(value)[1] if isinstance(value, float) else value.bit_length()
    return 1 + abs(exponent) // 4


def _kept(details: Details) -> dict[str, Any]:
    """Amount and unit price of a fractional quantity."""
    if isinstance(details, dict) and all(isinstance(details.get(name), str | int | float) for name in _KEPT):
        return {name: details[name] for name in _KEPT}
    return {}


def _to_ellipsis(details: Details) -> Details | None:
    kept = _kept(details)
    if not kept:
        return _ELLIPSIS
    return details if len(kept) == len(details) else {**kept, "text": _ELLIPSIS}


def _to_kept(details: Details) -> Details | None:
    return _kept(details) or None


def _to_nothing(_: Details) -> Details | None:
    return None
