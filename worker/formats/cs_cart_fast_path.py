"""Usual CS-Cart events, parsed by msgspec: a fifth of what the full path costs. See `fast_path`.

It answers only where `cs_cart` and `options` would repair nothing; the tests hold both against each other.
"""

from typing import Any, Final

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from worker.formats import cs_cart, values
from worker.formats.config import ReadConfig
from worker.formats.model import Cart, Content, Details, NotEmpty, Order, Product

#: What a value has that is one of this source.
MARK: Final = b'"cs-cart"'
_USER_ID: Final = ("user_id",)
_OPTIONS: Final = frozenset(("options", "product_options"))


class _Option(Struct, gc=False):
    option_name: NotEmpty
    value: Any = None
    variant_name: str | None = None


class _Product(Struct, gc=False):
    product_id: NotEmpty | int
    product: NotEmpty
    amount: int | str
    price: int | float | str
    options: list[_Option] | None = None
    product_options: list[_Option] | None = None
    extra: Any = None


class _Cart(Struct, gc=False):
    products: list[_Product] | dict[str, _Product]
    user_id: NotEmpty | int | None = None
    order_id: str | int | None = None
    user_data: Any = None
    status: str | None = None
    is_parent_order: str | None = None


class _Event(Struct, gc=False, tag_field="source", tag="cs-cart"):
    visit_id: NotEmpty
    cart: _Cart
    id: NotEmpty | int | None = None
    status: str | None = None
    currency: str | None = None
    call_id: int | None = None
    agent: str | None = None
    occurred_at: str | int | float | None = None


_parse: Final = Decoder(_Event).decode


def parse(value: bytes, config: ReadConfig) -> Content | None:
    """The content of an event, its numbers still to be checked; None: the full path decides."""
    try:
        event = _parse(value)
    except (DecodeError, ValueError, RecursionError):
        return None
    cart = event.cart
    cart_id = event.id
    if cart_id is None and config.cs_cart_id_fields == _USER_ID:
        cart_id = cart.user_id
    if cart_id is None or values.is_zero(cart_id) or cart.is_parent_order == "Y":
        return None
    products = _products(cart.products)
    if products is None:
        return None
    common = (event.visit_id, products, event.currency, event.call_id, event.agent, event.occurred_at)
    order_id = cart.order_id
    if order_id is None or order_id == "" or values.is_zero(order_id):
        return _cart(cart_id, cs_cart.is_logged_in(cart.user_data), *common)
    status = event.status or cart.status or config.default_order_status
    return None if not status else _order(order_id, cart_id, status, *common)


def _cart(cart_id: str | int, is_logged_in: int, visit_id: str, products: list[Product], *more: Any) -> Cart:
    currency, call_id, agent, occurred_at = more
    return Cart(
        id=cart_id,
        visit_id=visit_id,
        products=products,
        is_logged_in=bool(is_logged_in),
        currency=currency,
        call_id=call_id,
        agent=agent,
        occurred_at=occurred_at,
    )


def _order(
    order_id: str | int, cart_id: str | int, status: str, visit_id: str, products: list[Product], *more: Any
) -> Order:
    currency, call_id, agent, occurred_at = more
    return Order(
        id=order_id,
        cart_id=cart_id,
        visit_id=visit_id,
        products=products,
        status=status,
        currency=currency,
        call_id=call_id,
        agent=agent,
        occurred_at=occurred_at,
    )


def _products(lines: list[_Product] | dict[str, _Product]) -> list[Product] | None:
    products = []
    for line in lines.values() if isinstance(lines, dict) else lines:
        options = line.options or line.product_options
        details: Details | None = None
        if options:
            details = _details(options)
            if details is None:
                return None
        elif isinstance(line.extra, dict) and not _OPTIONS.isdisjoint(line.extra):
            return None
        products.append(Product(line.product_id, line.product, line.amount, line.price, details or None))
    return products


def _details(options: list[_Option]) -> dict[str, Any] | None:
    """The options by their names; None: two have the same name."""
    details: dict[str, Any] = {}
    for option in options:
        value = option.variant_name or option.value
        if option.option_name in details:
            return None
        if value is not None:
            details[option.option_name] = value
    return details
