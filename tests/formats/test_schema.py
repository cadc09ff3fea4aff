"""The JSON Schema says what the decoder checks."""

import json
from typing import Any

import pytest

from worker.formats import schema

COMMON = {"id", "currency", "visit_id", "call_id", "agent", "occurred_at", "source"}
NATIVE = COMMON | {"type", "products"}


def model(name: str) -> dict[str, Any]:
    definition: dict[str, Any] = schema()["$defs"][name]
    return definition


@pytest.mark.parametrize(
    ("name", "required", "fields"),
    [
        ("Cart", {"type", "id", "currency", "visit_id", "products", "is_logged_in"}, NATIVE | {"is_logged_in"}),
        (
            "Order",
            {"type", "id", "cart_id", "currency", "visit_id", "products", "status"},
            NATIVE | {"cart_id", "status"},
        ),
        ("Product", {"id", "name", "quantity", "price"}, {"id", "name", "quantity", "price", "details"}),
        ("CsCartEvent", {"source", "visit_id", "currency", "cart"}, COMMON | {"status", "cart"}),
        ("CsCart", {"products"}, {"user_id", "order_id", "user_data", "products"}),
        (
            "CsCartProduct",
            {"product_id", "product", "amount", "price"},
            {"product_id", "product", "amount", "price", "options"},
        ),
        ("CsCartOption", {"option_name"}, {"option_name", "value"}),
    ],
)
def test_each_model_has_its_fields(name: str, required: set[str], fields: set[str]) -> None:
    assert set(model(name)["required"]) == required
    assert model(name)["properties"].keys() == fields


def test_an_event_is_a_cart_an_order_or_an_envelope() -> None:
    document = schema()
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert [choice["$ref"].rpartition("/")[2] for choice in document["anyOf"]] == ["Cart", "Order", "CsCartEvent"]
    assert json.loads(json.dumps(document)) == document


def test_the_rules_are_in_it() -> None:
    assert model("Cart")["properties"]["currency"]["pattern"] == "^[A-Z]{3}$"
    assert model("Cart")["properties"]["is_logged_in"]["enum"] == [0, 1, True, False, "0", "1"]
    assert model("Order")["properties"]["products"]["minItems"] == 1
    assert "minItems" not in model("Cart")["properties"]["products"]
    assert {"type": "integer", "minimum": 0} in model("Product")["properties"]["quantity"]["anyOf"]
    assert [choice["type"] for choice in model("CsCart")["properties"]["products"]["anyOf"]] == ["array", "object"]


def test_each_field_with_a_rule_is_described() -> None:
    plain = {"type", "source", "cart", "products", "options"}
    for definition in schema()["$defs"].values():
        for name, field in definition["properties"].items():
            assert name in plain or field["description"]
