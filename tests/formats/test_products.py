"""Every rule of a product: what it accepts and sends, and what it rejects."""

from typing import Any

import pytest

from tests.formats.events import ABSENT, assert_invalid, cart, form, nested, order, product

INTEGERS = [(0, "0"), (2, "2"), (2.0, "2"), ("3", "3"), ("2.0", "2"), ("2e1", "20"), (2e2, "200"), (-0.0, "0")]
INTEGERS += [
    (10**22 + 1, f"{10**22 + 1}"),
    (f"{10**22 + 1}", f"{10**22 + 1}"),
    (1e19, f"{10**19}"),
    (1e22, f"{10**22}"),
    (2**63, f"{2**63}"),
]
NOT_INTEGERS = [
    -1,
    1.5,
    "1.5",
    "-1",
    True,
    "",
    " 3",
    "3 ",
    "3\n",
    "1_000",
    "\u0663",
    "0x1",
    "+1",
    "03",
    None,
    ABSENT,
    [],
    {},
]
NUMBERS = [(0, "0"), (5, "5"), (29.99, "29.99"), ("10.50", "10.5"), ("5.00", "5"), (-1.5, "-1.5"), (1e-5, "0.00001")]
NOT_NUMBERS = [
    "",
    "a",
    "1,5",
    "1e999999999",
    "-1e999999999",
    "9" * 400,
    "NaN",
    "Infinity",
    " 1",
    "1.",
    ".5",
    True,
    None,
]


@pytest.mark.parametrize("given", [None, 1, "x", [], [product()]])
def test_a_product_is_an_object(given: Any) -> None:
    assert_invalid(cart(products=[product(), given]), "products[1]", "an object")


@pytest.mark.parametrize(
    ("given", "sent"),
    [("SKU-1", "SKU-1"), ("", ""), ("010", "010"), (7, "7"), (7.0, "7"), (1.5, "1.5"), (10**22 + 1, f"{10**22 + 1}")],
)
def test_a_product_id_is_a_string_or_a_number(given: Any, sent: str) -> None:
    assert form(cart(products=[product(id=given)]))["products[0][id]"] == sent


@pytest.mark.parametrize("given", [None, ABSENT, True, [], {}])
def test_nothing_else_is_a_product_id(given: Any) -> None:
    assert_invalid(cart(products=[product(id=given)]), "products[0].id", "a string or a number")


@pytest.mark.parametrize("given", ["", None, ABSENT, 5, True, []])
def test_a_product_has_a_name(given: Any) -> None:
    assert form(cart(products=[product(name="Café")]))["products[0][name]"] == "Café"
    assert_invalid(order(products=[product(name=given)]), "products[0].name", "a string, not empty")


@pytest.mark.parametrize(("given", "sent"), INTEGERS, ids=repr)
def test_a_quantity_is_a_whole_number(given: Any, sent: str) -> None:
    assert form(cart(products=[product(quantity=given)]))["products[0][quantity]"] == sent


@pytest.mark.parametrize("given", NOT_INTEGERS, ids=repr)
def test_nothing_else_is_a_quantity(given: Any) -> None:
    event = cart(products=[product(), product(quantity=given)])
    assert_invalid(event, "products[1].quantity", "an integer of 0 or more")


@pytest.mark.parametrize(("given", "sent"), NUMBERS, ids=repr)
def test_a_price_is_a_number(given: Any, sent: str) -> None:
    assert form(order(products=[product(price=given)]))["products[0][price]"] == sent


@pytest.mark.parametrize("given", [*NOT_NUMBERS, ABSENT, [], {}], ids=lambda given: repr(given)[:20])
def test_nothing_else_is_a_price(given: Any) -> None:
    assert_invalid(order(products=[product(price=given)]), "products[0].price", "a finite number")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("blue", {"": "blue"}),
        ({"color": "blue", "size": {"w": 1.50}}, {"[color]": "blue", "[size][w]": "1.5"}),
        (["a", ["b"]], {"[0]": "a", "[1][0]": "b"}),
        ({"gift": True, "new": False, "note": None, "tags": []}, {"[gift]": "1", "[new]": "0"}),
        ({"": "x", "a[b]": "y", "0": ""}, {"[]": "x", "[a[b]]": "y", "[0]": ""}),
        ({"ean": 10**22 + 1}, {"[ean]": f"{10**22 + 1}"}),
        (nested(32), {}),
    ],
)
def test_details_are_a_string_or_nested(given: Any, sent: dict[str, str]) -> None:
    parameters = form(cart(products=[product(details=given)]))
    prefix = "products[0][details]"
    assert {name: item for name, item in parameters.items() if name.startswith(prefix)} == {
        prefix + name: item for name, item in sent.items()
    }


@pytest.mark.parametrize("given", [None, "", [], {}, ABSENT])
def test_empty_details_are_left_out(given: Any) -> None:
    assert not [name for name in form(cart(products=[product(details=given)])) if "details" in name]


@pytest.mark.parametrize("given", [0, 1, 1.5, True, False, nested(33), {"a": nested(32)}, [1, "a", nested(40)]])
def test_details_are_nothing_else_and_at_most_32_deep(given: Any) -> None:
    assert_invalid(cart(products=[product(details=given)]), "products[0].details", "at most 32 deep")
