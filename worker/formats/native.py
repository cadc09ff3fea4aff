"""Native events: the API's own parameter names, plus `type` (Cart API, sections customer-cart and customer-order)."""

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import core_schema
from typing_extensions import TypedDict

from worker.core.event import Defaults, Entity, Event, Invalid, Kind, Skipped
from worker.formats import fields, number, problem, timestamp
from worker.formats.rule import NULL, Rule, any_of

SOURCE: Final = "optico"

Source = Annotated[
    Literal["optico"] | None,
    Rule('"optico", or no source', any_of(NULL, core_schema.literal_schema([SOURCE]))),
]


class Product(TypedDict):
    """What is in a cart or an order (Cart API, Products object)."""

    id: fields.ProductId
    name: fields.NotEmpty
    quantity: fields.Quantity
    price: fields.Price
    details: NotRequired[fields.Details]


class Cart(TypedDict):
    """A cart as it is now."""

    source: NotRequired[Source]
    type: Literal["cart"]
    id: fields.EntityId
    currency: fields.Currency
    visit_id: fields.NotEmpty
    products: Annotated[list[Product], FailFast()]
    is_logged_in: fields.IsLoggedIn
    call_id: NotRequired[fields.CallId]
    agent: NotRequired[fields.Agent]
    occurred_at: NotRequired[fields.OccurredAt]


class Order(TypedDict):
    """An order as it is now."""

    source: NotRequired[Source]
    type: Literal["order"]
    id: fields.EntityId
    cart_id: fields.EntityId
    currency: fields.Currency
    visit_id: fields.NotEmpty
    products: Annotated[list[Product], FailFast(), Field(min_length=1)]
    status: fields.NotEmpty
    call_id: NotRequired[fields.CallId]
    agent: NotRequired[fields.Agent]
    occurred_at: NotRequired[fields.OccurredAt]


CART: Final = TypeAdapter(Cart)
ORDER: Final = TypeAdapter(Order)
# The adapter's own method adds a third to what this costs.
_CHECK: Final = {"cart": CART.validator.validate_python, "order": ORDER.validator.validate_python}


def decode(event: dict[str, Any], defaults: Defaults) -> Event | Skipped | Invalid:
    """What the event means. Fills the default currency into it."""
    kind = event.get("type")
    if kind not in ("cart", "order"):
        return Invalid("invalid_event", "unknown", "type", '"cart" or "order"', readable_id(event.get("id")))
    fill_currency(event, defaults)
    try:
        _CHECK[kind](event)
    except ValidationError as error:
        model: TypeAdapter[Any] = CART if kind == "cart" else ORDER
        return Invalid("invalid_event", kind, *problem.first(model, event, error), readable_id(event.get("id")))
    products = event["products"]
    if not products:
        return Skipped("empty_products", kind, Entity(kind, str(event["id"])))
    occurred_at = event.get("occurred_at")
    happened = None if occurred_at is None else timestamp.seconds(occurred_at)
    return Event(Entity(kind, str(event["id"])), happened, len(products))


def identify(event: dict[str, Any]) -> tuple[Kind | Literal["unknown"], str | None]:
    """The kind and the id as far as an event, valid or not, tells them."""
    kind = event.get("type")
    return kind if kind in ("cart", "order") else "unknown", readable_id(event.get("id"))


def parameters(event: dict[str, Any], defaults: Defaults) -> tuple[Kind, dict[str, Any]]:
    """The API's parameters, in its order and without `key`, of an event that `decode` accepts."""
    fill_currency(event, defaults)
    kind: Kind = event["type"]
    order = kind == "order"
    return kind, {
        "id": event["id"],
        "cart_id": event["cart_id"] if order else None,
        "currency": event["currency"],
        "visit_id": event["visit_id"],
        "products": [_product(product) for product in event["products"]],
        "is_logged_in": None if order else event["is_logged_in"],
        "status": event["status"] if order else None,
        "call_id": present(event.get("call_id")),
        "agent": present(event.get("agent")),
    }


def _product(product: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": product["id"],
        "name": product["name"],
        "quantity": number.text(product["quantity"]),
        "price": number.text(product["price"]),
        "details": present(product.get("details")),
    }


def fill_currency(event: dict[str, Any], defaults: Defaults) -> None:
    """Gives an event without a currency the deployment's."""
    if event.get("currency") is None and defaults.currency is not None:
        event["currency"] = defaults.currency


def readable_id(value: Any) -> str | None:
    """An id as text; None: nothing that could be one."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None


def present(value: Any) -> Any:
    """The value; null where it is "", which means absent."""
    return None if value == "" else value
