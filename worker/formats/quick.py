"""Native events in their usual form, parsed and checked in one go: half the cost of the long way.

What this accepts the long way accepts with the same outcome; for everything else the long way decides. So no rule has
its home here: a rule that is stricter there must be as strict here, one that is laxer may be left out.
"""

from typing import Annotated, Final, Literal

from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder

from worker.core.event import Defaults, Entity, Event, Kind, Skipped
from worker.formats import timestamp

# Longer ones take part in what the long way knows of them.
_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_NotEmpty = Annotated[str, Meta(min_length=1)]
_Scalar = str | _Integer | float | bool | None


class _Product(Struct, gc=False, forbid_unknown_fields=True):
    id: str | _Integer | float
    name: _NotEmpty
    quantity: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    price: _Integer | float
    details: str | dict[str, _Scalar] | None = None


class _Event(Struct, gc=False, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    id: _NotEmpty | _Integer
    visit_id: _NotEmpty
    products: list[_Product]
    currency: Annotated[str, Meta(min_length=3, max_length=3)] | None = None
    source: Literal["optico"] | None = None
    call_id: _Integer | None = None
    agent: str | None = None
    occurred_at: str | _Integer | float | None = None


class Cart(_Event, tag="cart", gc=False, kw_only=True):
    is_logged_in: bool | Literal[0, 1, "0", "1"]


class Order(_Event, tag="order", gc=False, kw_only=True):
    cart_id: _NotEmpty | _Integer
    status: _NotEmpty


#: Raises msgspec's DecodeError, ValueError or RecursionError.
parse: Final = Decoder(Cart | Order).decode


def decode(value: bytes, defaults: Defaults) -> Event | Skipped | None:
    """What the event means; None: nothing can be said here. Never raises."""
    try:
        event = parse(value)
    except (DecodeError, ValueError, RecursionError):
        return None
    currency = event.currency
    if currency is None:
        if defaults.currency is None:
            return None
    elif not (currency.isascii() and currency.isalpha() and currency.isupper()):
        return None
    products = event.products
    kind: Kind = "cart" if event.__class__ is Cart else "order"
    if not products:
        return Skipped("empty_products", kind, Entity(kind, str(event.id))) if kind == "cart" else None
    occurred_at = event.occurred_at
    happened = None if occurred_at is None else timestamp.seconds(occurred_at)
    return Event(Entity(kind, str(event.id)), happened, len(products))
