"""Events as producers should send them: nothing in them needs a repair."""

from typing import Any

VISIT = "3617898c651df0f8617f70a0"
TROUSERS = {"id": "31", "name": "Corduroy trousers", "quantity": 2, "price": "30.00", "details": {"Size": "Large"}}
CART: dict[str, Any] = {
    "type": "cart",
    "id": "42",
    "currency": "EUR",
    "visit_id": VISIT,
    "is_logged_in": True,
    "products": [TROUSERS, {"id": 32, "name": "Belt", "quantity": "1", "price": 12.5, "details": "brown"}],
    "call_id": 981,
    "agent": "bob.martin",
    "occurred_at": "2026-11-21T08:00:00Z",
}
ORDER: dict[str, Any] = {
    "source": "optico",
    "type": "order",
    "id": 1001,
    "cart_id": "42",
    "currency": "EUR",
    "visit_id": VISIT,
    "status": "Completed",
    "products": [TROUSERS | {"quantity": -1, "details": ["returned"]}],
    "occurred_at": 1795248000,
}
#: As CS-Cart's REST API gives them, in the envelope.
CS_CART_CART: dict[str, Any] = {
    "source": "cs-cart",
    "visit_id": VISIT,
    "currency": "EUR",
    "cart": {
        "user_id": "42",
        "firstname": "John",
        "order_id": "0",
        "user_data": {"email": "john.doe@example.com"},
        "products": [
            {
                "product_id": "123",
                "amount": "2",
                "price": "49.99",
                "product": "Premium T-Shirt",
                "options": [{"option_id": "12", "option_name": "Size", "value": "Large"}],
                "subtotal": "99.98",
            }
        ],
    },
}
CS_CART_ORDER: dict[str, Any] = {
    "source": "cs-cart",
    "visit_id": VISIT,
    "currency": "EUR",
    "cart": {
        "order_id": "1117",
        "user_id": "33",
        "status": "P",
        "user_data": {"user_id": "33", "email": "anna@example.com"},
        "products": {
            "1822274": {
                "product_id": "31",
                "amount": "2",
                "price": "30.00",
                "product": "Corduroy trousers",
                "product_options": [{"option_id": "3", "option_name": "Size", "value": "12", "variant_name": "Large"}],
            }
        },
    },
}
GOOD = [CART, ORDER, CS_CART_CART, CS_CART_ORDER]
#: By what is wrong with it.
BAD: dict[str, dict[str, Any]] = {
    "no products": {name: value for name, value in CART.items() if name != "products"},
    "an unknown type": CART | {"type": "basket"},
    "an order without a status": {name: value for name, value in ORDER.items() if name != "status"},
    "a number as the currency": CART | {"currency": 978},
    "a product without a name": CART | {"products": [{"id": "31", "quantity": 1, "price": 1}]},
}
