"""Events for the tests: a cart's version is its product's quantity, so that the newest is told from the others."""

import json
from typing import Any

from tests.brokers.tools import Record

VISIT = "3617898c651df0f8617f70a0"


def cart(id: str, version: int = 1, **more: Any) -> Record:  # noqa: A002
    event = {
        "type": "cart",
        "id": id,
        "currency": "EUR",
        "visit_id": VISIT,
        "is_logged_in": 0,
        "products": [{"id": 1, "name": "Café crème", "quantity": version, "price": 29.99}],
    } | more
    return record(f"cart:{id}", event)


def order(id: str, version: int = 1, **more: Any) -> Record:  # noqa: A002
    event = {
        "type": "order",
        "id": id,
        "cart_id": "7",
        "currency": "EUR",
        "visit_id": VISIT,
        "status": "Completed",
        "products": [{"id": 1, "name": "Mug", "quantity": version, "price": 5}],
    } | more
    return record(f"order:{id}", event)


def shop_cart(user_id: str, version: int = 1, order_id: str = "0", **more: Any) -> Record:
    """CS-Cart's envelope; with an order id, the cart has been checked out."""
    cart = {
        "user_id": user_id,
        "firstname": "Test",
        "order_id": order_id,
        "user_data": {"email": "test@example.com"},
        "products": [
            {
                "product_id": "123",
                "amount": str(version),
                "price": "49.99",
                "product": "T-Shirt",
                "options": [{"option_id": "12", "option_name": "Size", "value": "Large"}],
            }
        ],
    }
    key = f"cart:{user_id}" if order_id == "0" else f"order:{order_id}"
    return record(key, {"source": "cs-cart", "visit_id": VISIT, "currency": "EUR", "cart": cart} | more)


def record(key: str, event: Any) -> Record:
    return Record(key.encode(), json.dumps(event).encode())


def version(params: dict[str, Any]) -> int:
    """The version that the API holds."""
    return int(params["products"][0]["quantity"])
