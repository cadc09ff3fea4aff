"""Usual events, parsed and checked in one go by msgspec.

The fast path never accepts what the full path would read otherwise; it returns None when it is unsure. So no rule has
its home here. Of repairs it makes one, the cut of what is too large: thousands of lines take the full path a tenth of a
second, in which nobody else is sent. It runs for every record: a call or an attribute more is a tenth of what it costs.
"""

from typing import Any, Final

from msgspec import DecodeError
from msgspec.json import Decoder

from worker.core.event import Event
from worker.formats import complete, cs_cart_fast_path, cutting, nesting, number, timestamp, values
from worker.formats.config import ReadConfig
from worker.formats.model import Cart, Content, Order, Product
from worker.formats.parse import has_slow_numbers

#: Raises msgspec's DecodeError, ValueError or RecursionError.
parse: Final = Decoder(Cart | Order).decode
_CENTS_AT_MOST: Final = 1e13
_NO_VISIT: Final = values.NO_VISIT
_CONTAINERS: Final = (dict, list)
#: No finite number has more digits.
_BEYOND: Final = 10**308
#: Currencies that were seen: three letters each, so there are not many.
_currencies: Final[set[str]] = {"EUR"}


def read(value: bytes, config: ReadConfig, recorded_at: int) -> Event | None:  # noqa: C901, PLR0911, PLR0912
    """What the event means; None: the full path decides. `recorded_at`: see `worker.formats.read`. Never raises.

    Each `return None` is a doubt.
    """
    if has_slow_numbers(value):
        return None
    lines = "products"
    try:
        content: Content | None = parse(value)
    except (DecodeError, ValueError, RecursionError):
        lines = "cart.products"
        content = cs_cart_fast_path.parse(value, config) if cs_cart_fast_path.MARK in value else None
    if content is None:
        return None
    products: list[Any] = content.products  # what each value is, is asked here in the cheapest way
    if not products or content.visit_id.strip() in _NO_VISIT:
        return None
    if content.currency not in _currencies and not _is_usual_currency(content.currency, config):
        return None
    call_id = content.call_id
    if call_id is not None and (call_id.__class__ is str or call_id == 0):
        return None
    limits = config.limits
    fits = len(value) <= limits.small_flat
    for product in products:
        quantity, price, details = product.quantity, product.price, product.details
        if not (-_BEYOND < quantity < _BEYOND if quantity.__class__ is int else _is_usual_quantity(product)):
            return None
        # In whole cents a float has at most 14 significant digits, which its value tells at a fifth of the cost.
        if not (
            (
                price.__class__ is float
                and -_CENTS_AT_MOST < price < _CENTS_AT_MOST
                and int(price * 100 + 0.5) / 100 == price
            )
            or _is_usual_price(product)
        ):
            return None
        if details.__class__ in _CONTAINERS and (details.__class__ is list or nesting.is_nested(details)):
            fits = fits and len(value) <= limits.small_nested
            if not nesting.is_within(nesting.DEEPEST, details):
                return None
    occurred_at = None
    if content.occurred_at is not None:
        occurred_at = timestamp.seconds(content.occurred_at)
        if timestamp.is_ahead(occurred_at, recorded_at):
            return None
    if fits:
        return complete.event(content, occurred_at, config)
    return _cut(content, occurred_at, lines, config)


def _cut(content: Content, occurred_at: float | None, lines: str, config: ReadConfig) -> Event | None:
    repairs: dict[str, str] = {}
    event = complete.event(content, occurred_at, config, repairs)
    try:
        if cutting.cut(content, config.limits):
            repairs["too_large"] = lines
    except cutting.TooLargeError:
        return None
    return event


def _is_usual_currency(currency: str | None, config: ReadConfig) -> bool:
    if currency is None:
        return config.default_currency is not None
    usual = values.is_currency(currency)
    if usual:
        _currencies.add(currency)
    return usual


def _is_usual_quantity(product: Product) -> bool:
    """Whether a quantity that is a text needs no repair; it is in its final form then."""
    read = number.read(product.quantity, whole=True)
    if read is None or read.repaired or not read.is_whole:
        return False
    product.quantity = read.text
    return True


def _is_usual_price(product: Product) -> bool:
    """Whether a price needs no repair; a text is in its final form then."""
    price = product.price
    if isinstance(price, int):
        return -_BEYOND < price < _BEYOND
    if isinstance(price, float):
        return not number.is_long(price)
    read = number.read(price)
    if read is None or read.repaired:
        return False
    product.price = read.text
    return True
