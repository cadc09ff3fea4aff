"""CS-Cart events: an envelope around the shop's cart object (CS-Cart's documentation, Cart Details).

The object's values are strings, arrays and objects, and PHP writes an empty object as `[]`. A cart that has been
checked out, which a non-zero `order_id` tells, is an order.
"""

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import FailFast, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from worker.core.event import Defaults, Entity, Event, Invalid, Kind, Skipped
from worker.formats import fields, native, problem, timestamp
from worker.formats.rule import ANY, INTEGER, NOT_EMPTY, NULL, STRING, Rule, Values, any_of, scalar_or_nested

SOURCE: Final = "cs-cart"

_VALUE_DEPTH: Final = fields.MAX_DEPTH - 1  # the details that hold the values are the first level

# Rules on ANY hang on other fields: `decode` checks them, here they are worded and described.
_CART_ID: Final = Rule(
    "a string or an integer, not empty and not 0",
    ANY,
    "the cart id is the envelope's `id`; where that is absent or null, `cart.user_id`",
    {"type": ["string", "integer", "null"]},
)
_STATUS: Final = Rule(
    "a string, not empty", ANY, "for an order; may be absent where the worker has a default order status", {}
)
_ORDER_ID: Final = Rule(
    "a string or an integer", any_of(STRING, INTEGER, NULL), 'absent, null, "" and 0: not checked out, a cart'
)
_USER_DATA: Final = Rule("an object", ANY, "if it is not empty, the visitor is logged in", {})
_OPTION_NAME: Final = Rule("a string, not empty", any_of(NOT_EMPTY, INTEGER))
_OPTION_VALUE: Final = Rule(
    f"a value at most {_VALUE_DEPTH} deep", scalar_or_nested(_VALUE_DEPTH), "null is left out", {}
)

_PRODUCTS: Final = Values()
_OPTIONS: Final = Values(optional=True)


class CsCartOption(TypedDict):
    """A selected option, which becomes a detail of the product."""

    option_name: Annotated[str | int, _OPTION_NAME]
    value: NotRequired[Annotated[Any, _OPTION_VALUE]]


class CsCartProduct(TypedDict):
    """What is in the cart."""

    product_id: fields.ProductId
    product: fields.NotEmpty
    amount: fields.Quantity
    price: fields.Price
    options: NotRequired[Annotated[list[CsCartOption], FailFast(), _OPTIONS]]


class CsCart(TypedDict):
    """CS-Cart's cart object."""

    user_id: NotRequired[Annotated[Any, _CART_ID]]
    order_id: NotRequired[Annotated[str | int | None, _ORDER_ID]]
    user_data: NotRequired[Annotated[Any, _USER_DATA]]
    products: Annotated[list[CsCartProduct], FailFast(), _PRODUCTS]


class CsCartEvent(TypedDict):
    """A CS-Cart cart with what the shop's object lacks."""

    source: Literal["cs-cart"]
    id: NotRequired[Annotated[Any, _CART_ID]]
    visit_id: fields.NotEmpty
    currency: fields.Currency
    call_id: NotRequired[fields.CallId]
    agent: NotRequired[fields.Agent]
    status: NotRequired[Annotated[Any, _STATUS]]
    occurred_at: NotRequired[fields.OccurredAt]
    cart: CsCart


EVENT: Final = TypeAdapter(CsCartEvent)


def decode(event: dict[str, Any], defaults: Defaults) -> Event | Skipped | Invalid:
    """What the event means. Fills the default currency into it."""
    native.fill_currency(event, defaults)
    try:
        EVENT.validate_python(event)
    except ValidationError as error:
        return _invalid(event, *problem.first(EVENT, event, error))
    cart, cart_id = event["cart"], _cart_id(event)
    if cart_id is None:
        return _invalid(event, "cart.user_id" if event.get("id") is None else "id", _CART_ID.expected)
    order_id = _order_id(cart)
    if order_id is not None and not cart["products"]:
        return _invalid(event, "cart.products", problem.NO_PRODUCT)
    if order_id is not None and not _is_status(_status(event, defaults)):
        return _invalid(event, "status", _STATUS.expected)
    if not cart["products"]:
        return Skipped("empty_products", "cart", Entity("cart", cart_id))
    entity = Entity("cart", cart_id) if order_id is None else Entity("order", order_id)
    return Event(entity, timestamp.seconds(event.get("occurred_at")), len(cart["products"]))


def as_native(event: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """The native event that says the same as an event that `decode` accepts."""
    cart, cart_id = event["cart"], _cart_id(event)
    order_id = _order_id(cart)
    about = (
        {"type": "cart", "id": cart_id, "is_logged_in": _is_logged_in(cart)}
        if order_id is None
        else {"type": "order", "id": order_id, "cart_id": cart_id, "status": _status(event, defaults)}
    )
    return about | {
        "currency": event.get("currency"),
        "visit_id": event["visit_id"],
        "products": [_product(product) for product in _PRODUCTS.of(cart["products"])],
        "call_id": event.get("call_id"),
        "agent": event.get("agent"),
    }


def _product(product: dict[str, Any]) -> dict[str, Any]:
    options = _OPTIONS.of(product.get("options"))
    return {
        "id": product["product_id"],
        "name": product["product"],
        "quantity": product["amount"],
        "price": product["price"],
        "details": {option["option_name"]: option.get("value") for option in options},
    }


def _invalid(event: dict[str, Any], path: str, expected: str) -> Invalid:
    kind: Kind | Literal["unknown"] = "unknown"
    entity_id = None
    cart = event.get("cart")
    if isinstance(cart, dict) and _is_order_id(cart.get("order_id")):
        order_id = _order_id(cart)
        kind, entity_id = ("cart", _cart_id(event)) if order_id is None else ("order", order_id)
    return Invalid("invalid_event", kind, path, expected, entity_id)


def _cart_id(event: dict[str, Any]) -> str | None:
    """The cart's id; None: it has none."""
    own = event.get("id")
    cart_id = native.readable_id(event["cart"].get("user_id") if own is None else own)
    return None if cart_id == "0" else cart_id


def _order_id(cart: dict[str, Any]) -> str | None:
    """The order's id; None: the cart has not been checked out."""
    order_id = native.readable_id(cart.get("order_id"))
    return order_id if order_id is not None and order_id.strip("0") else None


def _is_order_id(value: Any) -> bool:
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _is_logged_in(cart: dict[str, Any]) -> int:
    user = cart.get("user_data")
    return 1 if isinstance(user, dict) and user else 0


def _status(event: dict[str, Any], defaults: Defaults) -> Any:
    status = event.get("status")
    return defaults.order_status if status in (None, "") else status


def _is_status(value: Any) -> bool:
    return isinstance(value, str) and value != ""
