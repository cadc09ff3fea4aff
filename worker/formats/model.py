"""The one strict model of an event: what the API requires, however it was written on the topic (Cart API, parameters).

The fast path makes these out of a record's bytes at once, the full path out of what it has repaired. A number that is a
string here is in its final form (`worker.formats.number`).
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

NotEmpty = Annotated[str, Meta(min_length=1)]
Details = str | dict[str, Any] | list[Any]


class Product(Struct, gc=False):
    """A line of a cart or an order (Cart API, Products object)."""

    id: NotEmpty | int | float
    name: NotEmpty
    quantity: int | str
    price: int | float | str
    details: Details | None = None


class Cart(Struct, gc=False, kw_only=True, tag_field="type", tag="cart"):
    """A cart as it is now."""

    id: NotEmpty | int
    visit_id: NotEmpty
    products: list[Product]
    is_logged_in: bool | Literal[0, 1, "0", "1"]
    currency: str | None = None
    source: Literal["optico"] | None = None
    call_id: int | str | None = None
    agent: str | None = None
    occurred_at: str | int | float | None = None


class Order(Struct, gc=False, kw_only=True, tag_field="type", tag="order"):
    """An order as it is now."""

    id: NotEmpty | int
    cart_id: NotEmpty | int
    visit_id: NotEmpty
    products: list[Product]
    status: NotEmpty
    currency: str | None = None
    source: Literal["optico"] | None = None
    call_id: int | str | None = None
    agent: str | None = None
    occurred_at: str | int | float | None = None


Content = Cart | Order
