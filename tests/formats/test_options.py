"""The options of CS-Cart's products in every shape that shops write: they become details."""

from typing import Any

import pytest

from tests.formats.events import ABSENT, checked_out, details, envelope, nested, repairs, shop_cart, shop_product

SIZE = {"option_id": "3", "option_name": "Size", "value": "12", "variant_name": "Large"}
NOTHING: list[Any] = [ABSENT, None, "", [], {}]
COLOUR = {"option_id": "4", "option_name": "Colour", "value": "Blue"}


@pytest.fixture(params=["cart", "order"])
def build(request: pytest.FixtureRequest) -> Any:
    """Makes an event of one product with these changes."""
    if request.param == "cart":
        return lambda **changes: envelope(cart=shop_cart(products=[shop_product(**changes)]))
    return lambda **changes: checked_out(products=[shop_product(**changes)])


@pytest.mark.parametrize(
    ("given", "expected", "labels"),
    [
        ([SIZE, COLOUR], {"[Size]": "Large", "[Colour]": "Blue"}, set()),
        ({"3": SIZE, "4": COLOUR}, {"[Size]": "Large", "[Colour]": "Blue"}, set()),
        ([SIZE | {"variant_name": ""}], {"[Size]": "12"}, set()),
        ([SIZE | {"variant_name": None}], {"[Size]": "12"}, set()),
        ([SIZE | {"variant_name": 5}], {"[Size]": "5"}, set()),
        ([COLOUR | {"value": None}, SIZE], {"[Size]": "Large"}, set()),
        ([COLOUR | {"value": None}], {}, set()),
        ([COLOUR | {"value": {"a": ["b", True]}}], {"[Colour][a][0]": "b", "[Colour][a][1]": "1"}, set()),
        ([COLOUR | {"option_name": 7}], {"[7]": "Blue"}, set()),
        ([COLOUR | {"option_name": ""}], {"[4]": "Blue"}, {"options"}),
        ([COLOUR | {"option_name": None}, SIZE], {"[4]": "Blue", "[Size]": "Large"}, {"options"}),
        ([{"option_id": 4, "value": "Blue"}], {"[4]": "Blue"}, {"options"}),
        ([{"value": "Blue"}], {"[0]": "Blue"}, {"options"}),
        ({"9": {"value": "Blue"}}, {"[9]": "Blue"}, {"options"}),
        ({"3": "12", "4": "17"}, {"[3]": "12", "[4]": "17"}, {"options"}),
        ({"3": 12, "4": ""}, {"[3]": "12", "[4]": ""}, {"options"}),
        ({"3": SIZE, "4": "17"}, {"[Size]": "Large", "[4]": "17"}, {"options"}),
        (["12", "17"], {"[0]": "12", "[1]": "17"}, {"options"}),
        ([SIZE, COLOUR | {"option_name": "Size"}], {"[Size][0]": "Large", "[Size][1]": "Blue"}, {"options"}),
        ([SIZE, SIZE, SIZE], {f"[Size][{at}]": "Large" for at in range(3)}, {"options"}),
        ([SIZE, SIZE | {"variant_name": None, "value": None}], {"[Size]": "Large"}, set()),
        ("Size: L", {"": "Size: L"}, {"options"}),
        *((each, {}, set()) for each in NOTHING),
        *((each, {}, {"options"}) for each in (False, True, 0, 5, 1.5)),
    ],
    ids=lambda given: repr(given)[:40],
)
@pytest.mark.parametrize("name", ["options", "product_options"])
def test_options_become_details(build: Any, name: str, given: Any, expected: dict[str, str], labels: set[str]) -> None:
    event = build(**{name: given})
    assert details(event) == expected
    assert repairs(event) == labels


@pytest.mark.parametrize(
    ("fields", "expected", "labels"),
    [
        ({"options": {"3": "12"}, "product_options": [SIZE]}, {"[Size]": "Large"}, set()),
        ({"options": [], "product_options": [SIZE]}, {"[Size]": "Large"}, set()),
        ({"options": [COLOUR], "product_options": [SIZE]}, {"[Colour]": "Blue"}, set()),
        ({"options": False, "product_options": [SIZE]}, {"[Size]": "Large"}, set()),
        ({"extra": {"product_options": [SIZE]}}, {"[Size]": "Large"}, set()),
        ({"extra": {"options": [COLOUR]}}, {"[Colour]": "Blue"}, set()),
        ({"product_options": [SIZE], "extra": {"product_options": {"3": "12"}}}, {"[Size]": "Large"}, set()),
        ({"product_options": {"3": "12"}, "extra": {"product_options": [SIZE]}}, {"[Size]": "Large"}, set()),
        ({"extra": {"product_options": {"3": "12"}}}, {"[3]": "12"}, {"options"}),
        ({"options": {"3": "12"}, "extra": {"product_options": {"3": "13"}}}, {"[3]": "12"}, {"options"}),
        ({"options": [], "product_options": {"3": "12"}}, {"[3]": "12"}, {"options"}),
        ({"extra": []}, {}, set()),
        ({"extra": {"product_options": []}}, {}, set()),
        ({"extra": {"product_options": False}}, {}, {"options"}),
    ],
)
def test_of_several_fields_the_first_with_names_counts(
    build: Any, fields: dict[str, Any], expected: dict[str, str], labels: set[str]
) -> None:
    assert details(build(**fields)) == expected
    assert repairs(build(**fields)) == labels


def test_options_that_nest_too_deep_are_left_out() -> None:
    def of(value: Any) -> Any:
        return envelope(cart=shop_cart(products=[shop_product(options=[COLOUR | {"value": value}])]))

    assert repairs(of(nested(31))) == set()
    assert repairs(of(nested(32))) == {"optional_field"}
    assert details(of(nested(32))) == {}


def test_options_stand_beside_what_a_repair_adds() -> None:
    event = envelope(cart=shop_cart(products=[shop_product(amount="0.5", price="3.20", options=[SIZE])]))
    assert details(event) == {"[amount]": "0.5", "[unit_price]": "3.2", "[Size]": "Large"}
    assert repairs(event) == {"quantity"}
