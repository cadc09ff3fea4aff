"""CS-Cart events: an envelope around the shop's cart object, or around what its REST API and hooks give for an order.

Source: CS-Cart's documentation, Cart Details. The object's values are strings, arrays and objects, and PHP writes an
empty object as `[]`. A cart that has been checked out, which an `order_id` other than 0 tells, is an order.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from worker.formats import native, values
from worker.formats.draft import Draft, Line, Reading, Source
from worker.formats.options import details
from worker.formats.values import ABSENT, Damaged

SOURCE: Final = "cs-cart"
_ID: Final = "expected a string or an integer, not empty; or set the envelope's `id`"
_USER_ID: Final = "expected a string or an integer, not empty and not 0; or set the envelope's `id`"
_USER: Final = "user_id"
_EMPTY: Final = (None, "", "0", 0, False)


def draft(tree: Mapping[str, Any], reading: Reading) -> Draft:
    """The event's values. Raises UnreadableError where its kind or an id can't be read."""
    cart = tree.get("cart")
    if not isinstance(cart, dict):
        reading.refuse("cart", "expected an object")
    order_id = cart.get("order_id")
    is_order = not (values.is_nothing(order_id) or values.is_zero(order_id))
    reading.kind = "order" if is_order else "cart"
    if is_order:
        reading.id = native.identity(cart, "order_id", "cart.order_id", reading)
        cart_id = _order_cart_id(tree, cart, reading.id, reading)
    else:
        cart_id = reading.id = _cart_id(tree, cart, reading)
    return Draft(
        CS_CART,
        reading.kind,
        reading.id,
        cart_id,
        tree.get("currency"),
        tree.get("visit_id"),
        cart.get("products", ABSENT),
        _status(tree, cart, reading) if is_order else None,
        is_logged_in(cart.get("user_data")),
        tree.get("call_id"),
        tree.get("agent"),
        tree.get("occurred_at"),
        is_parent=is_order and cart.get("is_parent_order") == "Y",
    )


def line(product: Mapping[str, Any], path: Callable[[], str], reading: Reading) -> Line:
    """The values of a product, its options as details."""
    extra = product.get("extra")
    return Line(
        product.get("product_id", ABSENT),
        product.get("product", ABSENT),
        product.get("amount", ABSENT),
        product.get("price", ABSENT),
        details(product, path, reading),
        other_name=extra.get("product", ABSENT) if isinstance(extra, dict) else ABSENT,
        subtotal=product.get("subtotal", ABSENT),
    )


CS_CART: Final = Source(line, "cart.products", "product_id", "product", "amount", "price", "options", keyed=True)


def _cart_id(tree: Mapping[str, Any], cart: Mapping[str, Any], reading: Reading) -> str:
    """The envelope's id, else the values of the configured fields. Raises UnreadableError."""
    own = tree.get("id")
    if not (values.is_nothing(own) or values.is_zero(own)):
        return native.identity(tree, "id", "id", reading)
    return "-".join([_id_field(cart, name, reading) for name in reading.config.cs_cart_id_fields])


def _id_field(cart: Mapping[str, Any], name: str, reading: Reading) -> str:
    path = f"cart.{name}"
    if name == _USER and values.is_zero(cart.get(name)):
        reading.refuse(path, _USER_ID)
    return native.identity(cart, name, path, reading, _USER_ID if name == _USER else _ID)


def _order_cart_id(tree: Mapping[str, Any], cart: Mapping[str, Any], order_id: str, reading: Reading) -> str:
    """The cart id of an order; a guest's order has none of its own."""
    own = tree.get("id")
    if not (values.is_nothing(own) or values.is_zero(own)):
        if values.identity(own) is not None:
            return native.identity(tree, "id", "id", reading)
        reading.repaired("cart_id", "id")
    names = reading.config.cs_cart_id_fields
    for name in names:
        if isinstance(cart.get(name), Damaged):
            reading.refuse(f"cart.{name}", _ID)
    if all(values.identity(cart.get(name)) for name in names) and not (
        _USER in names and values.is_zero(cart.get(_USER))
    ):
        return "-".join([native.identity(cart, name, f"cart.{name}", reading) for name in names])
    reading.repaired("cart_id", f"cart.{names[0]}")
    return f"order-{order_id}"


def _status(tree: Mapping[str, Any], cart: Mapping[str, Any], reading: Reading) -> Any:
    """The envelope's status, else the order's own, else the configured one; null where there is none."""
    own = tree.get("status")
    if values.text(own) is not None:
        return own
    if not values.is_nothing(own):
        reading.repaired("optional_field", "status")
    status = cart.get("status")
    return reading.config.default_order_status if values.text(status) is None else status


def is_logged_in(user: Any) -> int:
    """1 if the cart belongs to a registered user, else 0: a guest's `user_data` is empty, or holds what was typed."""
    if not user:
        return 0
    if isinstance(user, dict):
        if values.is_zero(user.get(_USER)):
            return 0
        user = list(user.values())
    return int(not isinstance(user, list) or any(not _is_empty(value) for value in user))


def _is_empty(value: Any) -> bool:
    return value in _EMPTY or value in ([], {})
