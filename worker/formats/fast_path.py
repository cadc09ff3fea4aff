"""Usual native events, parsed and checked in one go by msgspec.

The fast path never accepts what the full path would read otherwise; it returns None when it is unsure. So no rule has
its home here.
"""

from functools import lru_cache
from typing import Final

from msgspec import DecodeError
from msgspec.json import Decoder

from worker.core.event import Event, Skipped
from worker.formats import complete, cutting, nesting, number, timestamp, values
from worker.formats.config import ReadConfig
from worker.formats.model import Cart, Content, Details, Order

#: Raises msgspec's DecodeError, ValueError or RecursionError.
parse: Final = Decoder(Cart | Order).decode
_NO_REPAIRS: Final[dict[str, str]] = {}
_CENTS_AT_MOST: Final = 1e13


def read(value: bytes, config: ReadConfig, recorded_at: int) -> Event | Skipped | None:
    """What the event means; None: the full path decides. `recorded_at`: see `worker.formats.read`. Never raises."""
    try:
        content = parse(value)
    except (DecodeError, ValueError, RecursionError):
        return None
    if not (content.products and _is_usual(content, config)):
        return None
    fits = len(value) <= config.limits.small
    for product in content.products:
        price, details = product.price, product.details
        if product.quantity.__class__ is not int or (price.__class__ is not int and _may_be_long(price)):
            return None
        if details.__class__ not in _PLAIN:
            nested = nesting.is_nested(details)
            fits = fits and not nested
            if nested and not nesting.is_within(nesting.DEEPEST, details):
                return None
    if not (fits or cutting.fits(content, config.limits)):
        return None
    happened = content.occurred_at
    if happened is not None:
        happened = timestamp.seconds(happened)
        if timestamp.is_ahead(happened, recorded_at):
            return None
    return complete.event(content, happened, _NO_REPAIRS, config)


_PLAIN: Final[tuple[type, ...]] = (type(None), str)


def _is_usual(content: Content, config: ReadConfig) -> bool:
    """Whether the scalars need no repair; numbers as text are left to the full path."""
    currency = content.currency
    if not (_is_currency(currency) if currency is not None else config.default_currency is not None):
        return False
    call_id = content.call_id
    if call_id is not None and (call_id.__class__ is str or call_id == 0):
        return False
    return not values.is_no_visit(content.visit_id)


@lru_cache(maxsize=256)
def _is_currency(text: str) -> bool:
    return values.is_currency(text)


def _may_be_long(price: float | str | Details) -> bool:
    """Whether a price may have more than 14 significant digits. One in cents is told by its value, at a fifth of the cost."""
    if not isinstance(price, float):
        return True
    if -_CENTS_AT_MOST < price < _CENTS_AT_MOST and int(price * 100 + 0.5) / 100 == price:
        return False
    return number.is_long(price)
