"""The lines of carts and orders, native and CS-Cart's: what is sent as it is, what is repaired, what is invalid."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.formats.events import (
    ABSENT,
    PLAIN,
    assert_invalid,
    cart,
    checked_out,
    details,
    envelope,
    form,
    nested,
    order,
    product,
    repairs,
    shop_cart,
    shop_product,
)
from worker.formats import ReadConfig

BIG = 10**22 + 1
NOTHING: list[Any] = [ABSENT, None, "", [], {}]


class Shop(NamedTuple):
    """How one kind of event of one source is made of lines. `is_order`; `at`: the path of its products."""

    name: str
    event: Callable[[Any], dict[str, Any]]
    line: Callable[..., dict[str, Any]]
    names: dict[str, str]
    is_order: bool
    at: str

    def of(self, *lines: Any) -> dict[str, Any]:
        return self.event(list(lines))

    def with_line(self, **changes: Any) -> dict[str, Any]:
        """An event of one line, which has these changes under its own names of the fields."""
        return self.of(self.line(**{self.names.get(name, name): item for name, item in changes.items()}))

    def path(self, name: str, at: int | str = 0) -> str:
        return f"{self.at}[{at}].{self.names.get(name, name)}"


_CS_CART = {"id": "product_id", "name": "product", "quantity": "amount"}
CART = Shop("cart", lambda lines: cart(products=lines), product, {}, is_order=False, at="products")
ORDER = Shop("order", lambda lines: order(products=lines), product, {}, is_order=True, at="products")
SHOP_CART = Shop(
    *("CS-Cart cart", lambda lines: envelope(cart=shop_cart(products=lines)), shop_product, _CS_CART),
    is_order=False,
    at="cart.products",
)
SHOP_ORDER = Shop(
    *("CS-Cart order", lambda lines: checked_out(products=lines), shop_product, _CS_CART),
    is_order=True,
    at="cart.products",
)
EVERY = pytest.mark.parametrize("shop", [CART, ORDER, SHOP_CART, SHOP_ORDER], ids=lambda shop: shop.name)
CARTS = pytest.mark.parametrize("shop", [CART, SHOP_CART], ids=lambda shop: shop.name)
ORDERS = pytest.mark.parametrize("shop", [ORDER, SHOP_ORDER], ids=lambda shop: shop.name)
NATIVE = pytest.mark.parametrize("shop", [CART, ORDER], ids=lambda shop: shop.name)


def line(event: Any, config: ReadConfig = PLAIN) -> tuple[str, str, str, str]:
    """What is sent of the first line: id, name, quantity, price."""
    sent = form(event, config)
    found = [sent[f"products[0][{name}]"] for name in ("id", "name", "quantity", "price")]
    return found[0], found[1], found[2], found[3]


# Lines


@pytest.mark.parametrize("given", [None, 1, 0, 1.5, "x", "", True, False, [], [product()]], ids=repr)
@CARTS
def test_a_line_that_is_no_object_hides_no_other_line_of_a_cart(shop: Shop, given: Any) -> None:
    name = shop.names.get("name", "name")
    sent = form(shop.of(shop.line(**{name: "A"}), given, shop.line(**{name: "B"})))
    assert (sent["products[0][name]"], sent["products[1][name]"]) == ("A", "B")
    assert "products[2][id]" not in sent
    assert repairs(shop.of(given, shop.line())) == {"line"}


@pytest.mark.parametrize("given", [None, 1, "x", False, [], [product()]], ids=repr)
@ORDERS
def test_a_line_that_is_no_object_makes_an_order_invalid(shop: Shop, given: Any) -> None:
    assert_invalid(shop.of(shop.line(), given), f"{shop.at}[1]", "expected an object")


@pytest.mark.parametrize("lines", [[None], [None, 0, "x"], [[]], [False]], ids=repr)
@CARTS
def test_a_cart_all_of_whose_lines_are_none_is_not_emptied_but_invalid(shop: Shop, lines: list[Any]) -> None:
    for config in (ReadConfig(), ReadConfig(emptied_cart_name="Empty")):
        assert_invalid(shop.of(*lines), shop.at, "at least one product", config)


# Products


@pytest.mark.parametrize("given", [ABSENT, 0, 1, True, "[]", "x", 1.5], ids=repr)
@EVERY
def test_what_holds_no_lines_is_invalid(shop: Shop, given: Any) -> None:
    assert_invalid(shop.event(given), shop.at, "expected an array")


@NATIVE
def test_an_object_of_lines_counts_as_its_values(shop: Shop) -> None:
    event = shop.event({"a1": product(id="b"), "b2": product(id="a")})
    sent = form(event)
    assert (sent["products[0][id]"], sent["products[1][id]"]) == ("b", "a")
    assert repairs(event) == {"products"}


@pytest.mark.parametrize("shop", [SHOP_CART, SHOP_ORDER], ids=lambda shop: shop.name)
def test_a_shops_object_of_lines_is_no_repair(shop: Shop) -> None:
    event = shop.event({"918": shop_product(product_id="b"), "17": shop_product(product_id="a")})
    sent = form(event)
    assert (sent["products[0][id]"], sent["products[1][id]"]) == ("b", "a")
    assert repairs(event) == set()


@pytest.mark.parametrize(
    ("key", "shown"),
    [("918", "918"), ("a_b-C", "a_b-C"), ("x" * 40, "x" * 40), ("x" * 41, 1), ("", 1), ("a b", 1), ("é", 1), ("a]", 1)],
)
def test_a_problem_of_a_keyed_line_is_told_by_its_key_where_that_can_be_nothing_else(key: str, shown: Any) -> None:
    lines = {"1": product(), key: product(price="free")}
    assert_invalid(order(products=lines), f"products[{shown}].price")
    lines = {"1": shop_product(), key: shop_product(price="free")}
    assert_invalid(checked_out(products=lines), f"cart.products[{shown}].price")


# Ids


@pytest.mark.parametrize(
    ("given", "written"),
    [("SKU-1", "SKU-1"), ("010", "010"), (" ", " "), (7, "7"), (7.0, "7"), (1.5, "1.5"), (0, "0"), (BIG, f"{BIG}")],
)
@EVERY
def test_a_product_id_is_a_string_or_a_number(shop: Shop, given: Any, written: str) -> None:
    assert line(shop.with_line(id=given))[0] == written
    assert repairs(shop.with_line(id=given)) == set()


@pytest.mark.parametrize("given", [None, "", False, ABSENT, True, [], {}, ["7"]], ids=repr)
@EVERY
def test_a_line_without_a_product_id_keeps_the_rest(shop: Shop, given: Any) -> None:
    event = shop.with_line(id=given, name="Tip", price="5.00", quantity=3)
    assert line(event) == ("n/a", "Tip", "3", "5")
    assert repairs(event) == {"product_id"}


@EVERY
def test_a_product_id_that_is_no_utf8_is_repaired(shop: Shop) -> None:
    event = shop.with_line(id="A\ud83c")
    assert line(event)[0] == "A\ufffd"
    assert repairs(event) == {"encoding"}


# Names


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [("Café", "Café", set()), (" ", " ", set()), (501, "501", {"text"}), (1.5, "1.5", {"text"}), (0, "0", {"text"})],
)
@EVERY
def test_a_name_is_a_string(shop: Shop, given: Any, written: str, labels: set[str]) -> None:
    assert line(shop.with_line(name=given))[1] == written
    assert repairs(shop.with_line(name=given)) == labels


@pytest.mark.parametrize("given", [None, "", False, ABSENT, True, [], {}], ids=repr)
@EVERY
def test_a_line_without_a_name_is_named_by_its_id(shop: Shop, given: Any) -> None:
    assert line(shop.with_line(id="8", name=given))[1] == "8"
    assert repairs(shop.with_line(id="8", name=given)) == {"product_name"}
    assert line(shop.with_line(id=None, name=given))[:2] == ("n/a", "n/a")
    assert repairs(shop.with_line(id=None, name=given)) == {"product_name", "product_id"}


@pytest.mark.parametrize("given", [None, "", False, ABSENT])
@pytest.mark.parametrize("shop", [SHOP_CART, SHOP_ORDER], ids=lambda shop: shop.name)
def test_a_shops_line_without_a_name_is_named_by_extra_product(shop: Shop, given: Any) -> None:
    event = shop.with_line(name=given, extra={"product": "Corduroy trousers"})
    assert line(event)[1] == "Corduroy trousers"
    assert repairs(event) == {"product_name"}
    without: list[Any] = [{"product": ""}, {"product": None}, {}, [], "x", None]
    for extra in without:
        assert line(shop.with_line(name=given, extra=extra))[1] == "7"


# Prices


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [
        *((each, each_written, set()) for each, each_written in [(0, "0"), (5, "5"), (29.99, "29.99"), (-1.5, "-1.5")]),
        *(
            (each, each_written, set())
            for each, each_written in [("10.50", "10.5"), ("5.00", "5"), ("-0", "0"), ("0", "0")]
        ),
        *(
            (each, each_written, set())
            for each, each_written in [(1e-5, "0.00001"), ("1e-5", "0.00001"), ("1E2", "100")]
        ),
        *((each, f"{BIG}", set()) for each in (BIG, f"{BIG}")),
        *((each, each_written, {"number"}) for each, each_written in [(" 12.50", "12.5"), ("12.50\n", "12.5")]),
        *((each, each_written, {"number"}) for each, each_written in [(".5", "0.5"), ("12.", "12"), ("+1", "1")]),
        *((each, each_written, {"number"}) for each, each_written in [("007", "7"), ("-.5", "-0.5"), ("00.10", "0.1")]),
        (14.309999999999999, "14.31", {"number"}),
        ("14.309999999999999", "14.31", {"number"}),
        (0.1 + 0.2, "0.3", {"number"}),
        (1234567890123.456, "1234567890123.5", {"number"}),
    ],
    ids=repr,
)
@EVERY
def test_a_price_is_a_finite_number(shop: Shop, given: Any, written: str, labels: set[str]) -> None:
    event = shop.with_line(price=given)
    assert line(event)[3] == written
    assert repairs(event) == labels


@pytest.mark.parametrize("given", [None, "", False])
@EVERY
def test_a_gift_has_no_price(shop: Shop, given: Any) -> None:
    event = shop.with_line(price=given)
    assert line(event)[3] == "0"
    assert details(event) == {}
    assert repairs(event) == {"price"}


NO_PRICES = ["12,50", "€12", "free", "1 000", "1_000", "0x1A", "1e999999999", "9" * 400, "NaN", "INF", " ", "-", "."]
NO_PRICES += ["1e", "\u0663", "12.50 €", "--1"]


@pytest.mark.parametrize("given", NO_PRICES, ids=lambda given: given[:12])
@CARTS
def test_a_text_that_is_no_price_of_a_cart_is_kept_in_the_details(shop: Shop, given: str) -> None:
    event = shop.with_line(price=given)
    assert line(event)[3] == "0"
    assert details(event) == {"[price]": given}
    assert repairs(event) == {"price"}


@pytest.mark.parametrize("given", [True, [], {}, [5], {"amount": 5}, 10**400], ids=lambda given: repr(given)[:12])
@CARTS
def test_what_else_is_no_price_of_a_cart_is_left_out(shop: Shop, given: Any) -> None:
    event = shop.with_line(price=given)
    assert line(event)[3] == "0"
    assert details(event) == {}
    assert repairs(event) == {"price"}


@pytest.mark.parametrize("given", [*NO_PRICES, True, [], {}, [5], 10**400], ids=lambda given: repr(given)[:12])
@ORDERS
def test_an_order_whose_price_can_not_be_read_is_invalid(shop: Shop, given: Any) -> None:
    assert_invalid(shop.with_line(price=given), shop.path("price"), "a finite number")


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_beyond_a_double_is_no_finite_number(number: str) -> None:
    def written(event: Any) -> bytes:
        return _raw(event, '"HERE"', number)

    assert line(written(cart(products=[product(price="HERE")])))[3] == "0"
    assert repairs(written(cart(products=[product(price="HERE")]))) == {"price"}
    assert_invalid(written(order(products=[product(price="HERE")])), "products[0].price")
    assert_invalid(written(order(products=[product(quantity="HERE")])), "products[0].quantity")
    assert repairs(written(cart(products=[product(id="HERE")]))) == {"product_id"}
    assert repairs(written(cart(products=[product(details=["HERE"])]))) == {"optional_field"}
    assert repairs(written(cart(call_id="HERE"))) == {"optional_field"}
    assert repairs(written(cart(unknown="HERE"))) == set()


@CARTS
def test_a_cart_line_without_a_price_costs_nothing(shop: Shop) -> None:
    assert line(shop.with_line(price=ABSENT, subtotal="9.00"))[3] == "0"
    assert details(shop.with_line(price=ABSENT)) == {}
    assert repairs(shop.with_line(price=ABSENT)) == {"price"}


@pytest.mark.parametrize(
    ("subtotal", "amount", "price"),
    [
        ("60.00", "2", "30"),
        (60, 2, "30"),
        ("10", "3", "3.3333333333333"),
        ("-19.00", "-2", "9.5"),
        ("0", "2", "0"),
        (0.3, 3, "0.1"),
    ],
)
def test_the_price_of_a_shops_order_is_worked_out_of_its_subtotal(subtotal: Any, amount: Any, price: str) -> None:
    event = SHOP_ORDER.with_line(price=ABSENT, subtotal=subtotal, quantity=amount)
    assert line(event)[3] == price
    assert repairs(event) == {"price"}


def test_a_fraction_of_a_shops_order_costs_its_subtotal() -> None:
    event = SHOP_ORDER.with_line(price=ABSENT, subtotal="1.60", quantity="0.5")
    assert line(event)[2:] == ("1", "1.6")
    assert details(event) == {"[amount]": "0.5", "[unit_price]": "3.2"}
    assert repairs(event) == {"price", "quantity"}
    assert line(SHOP_ORDER.with_line(price=ABSENT, subtotal="10.00", quantity="0.3"))[3] == "10"


@pytest.mark.parametrize("amount", [0, "0", "0.0", None, "x", ABSENT, "", True])
@pytest.mark.parametrize("subtotal", ["60.00", ABSENT, None, "", "x", True, []])
def test_without_a_subtotal_or_an_amount_an_absent_price_of_an_order_is_invalid(subtotal: Any, amount: Any) -> None:
    assert_invalid(SHOP_ORDER.with_line(price=ABSENT, subtotal=subtotal, quantity=amount), SHOP_ORDER.path("price"))
    if subtotal != "60.00":
        event = SHOP_ORDER.with_line(price=ABSENT, subtotal=subtotal, quantity=2)
        assert_invalid(event, SHOP_ORDER.path("price"), "a finite number")


def test_a_subtotal_does_not_stand_in_for_a_price_that_is_there_or_of_a_native_order() -> None:
    assert line(SHOP_ORDER.with_line(price=None, subtotal="9.00"))[3] == "0"
    assert_invalid(SHOP_ORDER.with_line(price="x", subtotal="9.00"), SHOP_ORDER.path("price"))
    assert_invalid(ORDER.with_line(price=ABSENT, subtotal="9.00"), "products[0].price", "a finite number")


# Quantities


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [
        *((each, str(each), set()) for each in (0, 2, -2, "3", "-3", "0", BIG, f"{BIG}", 2**63)),
        *((each, "2", set()) for each in (2.0, "2.0", "2.00")),
        *((each, "0", set()) for each in (-0.0, "-0", 0.0)),
        (2e2, "200", set()),
        (1e22, f"{10**22}", set()),
        *((each, "3", {"number"}) for each in (" 3", "3 ", "3\n", "+3", "03", "3.", "30e-1")),
        *((each, "3", {"number"}) for each in (2.9999999999999996, "2.9999999999999996")),
        ("2e1", "20", {"number"}),
    ],
    ids=repr,
)
@EVERY
def test_a_quantity_is_a_whole_number(shop: Shop, given: Any, written: str, labels: set[str]) -> None:
    event = shop.with_line(quantity=given, price=5)
    assert line(event)[2:] == (written, "5")
    assert repairs(event) == labels
    assert details(event) == {}


@pytest.mark.parametrize(
    ("quantity", "price", "total", "kept"),
    [
        (0.5, 3.20, "1.6", ["0.5", "3.2"]),
        ("0.5", "3.20", "1.6", ["0.5", "3.2"]),
        (".5", "3.20", "1.6", ["0.5", "3.2"]),
        (1.5, 9.5, "14.25", ["1.5", "9.5"]),
        (-0.5, 3.20, "-1.6", ["-0.5", "3.2"]),
        ("-1.250", "8", "-10", ["-1.25", "8"]),
        (2.5, 0, "0", ["2.5", "0"]),
        (0.1, 0.1, "0.01", ["0.1", "0.1"]),
        (0.7, 1.1, "0.77", ["0.7", "1.1"]),
        ("1.005", "1000", "1005", ["1.005", "1000"]),
        (0.333, "0.99", "0.32967", ["0.333", "0.99"]),
        (2.9999999999, 9.5, "28.49999999905", ["2.9999999999", "9.5"]),
    ],
)
@EVERY
def test_a_fraction_of_a_product_is_one_piece_of_its_price(
    shop: Shop, quantity: Any, price: Any, total: str, kept: list[str]
) -> None:
    event = shop.with_line(quantity=quantity, price=price)
    assert line(event)[2:] == ("1", total)
    assert list(details(event).items()) == list(zip(("[amount]", "[unit_price]"), kept, strict=True))
    assert repairs(event) - {"number"} == {"quantity"}


def test_a_fraction_written_as_json_does_is_one_repair_and_a_long_one_two() -> None:
    for given in (0.5, "0.5", -0.5, "1.25"):
        assert repairs(CART.with_line(quantity=given)) == {"quantity"}
    for given in (" 0.5", ".5", 0.33333333333333331):
        assert repairs(CART.with_line(quantity=given)) == {"quantity", "number"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, {}),
        ("peeled", {"[text]": "peeled"}),
        (["a", "b"], {"[text][0]": "a", "[text][1]": "b"}),
        ({"size": "L"}, {"[size]": "L"}),
        ({"text": "own"}, {"[text]": "own"}),
        ({"amount": "own"}, {"[amount]": "own"}),
        ({"unit_price": 7, "price": 1}, {"[unit_price]": "7", "[price]": "1"}),
    ],
)
def test_what_a_repair_adds_comes_first_and_takes_no_keys_place(given: Any, sent: dict[str, str]) -> None:
    event = cart(products=[product(quantity=0.5, price=3.2, details=given)])
    expected = {"[amount]": "0.5", "[unit_price]": "3.2"}
    assert details(event) == expected | sent
    assert [name for name in details(event) if name not in sent] == [name for name in expected if name not in sent]


def test_a_fraction_whose_price_is_a_text_tells_both() -> None:
    event = cart(products=[product(quantity=0.5, price="ask", details="x")])
    assert line(event)[2:] == ("1", "0")
    assert details(event) == {"[amount]": "0.5", "[unit_price]": "0", "[price]": "ask", "[text]": "x"}
    assert repairs(event) == {"quantity", "price"}


NO_QUANTITIES = [None, "", False, ABSENT, True, "2 pcs", "1,5", "1_000", "\u0663", "0x1", [], {}, [2], " ", "1e400"]


@pytest.mark.parametrize("given", NO_QUANTITIES, ids=repr)
@CARTS
def test_a_cart_line_without_a_quantity_is_one(shop: Shop, given: Any) -> None:
    event = shop.with_line(quantity=given, price="4.50")
    assert line(event)[2:] == ("1", "4.5")
    assert repairs(event) == {"quantity"}
    assert details(event) == {}


@pytest.mark.parametrize("given", NO_QUANTITIES, ids=repr)
@ORDERS
def test_an_order_whose_quantity_can_not_be_read_is_invalid(shop: Shop, given: Any) -> None:
    assert_invalid(shop.with_line(quantity=given), shop.path("quantity"), "a finite number")


# Details


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("blue", {"": "blue"}),
        (" ", {"": " "}),
        ({"color": "blue", "size": {"w": 1.50}}, {"[color]": "blue", "[size][w]": "1.5"}),
        (["a", ["b"]], {"[0]": "a", "[1][0]": "b"}),
        ({"gift": True, "new": False, "note": None, "tags": []}, {"[gift]": "1", "[new]": "0"}),
        ({"": "x", "a[b]": "y", "0": ""}, {"[]": "x", "[a[b]]": "y", "[0]": ""}),
        ({"ean": BIG, "long": 14.309999999999999}, {"[ean]": f"{BIG}", "[long]": "14.309999999999999"}),
        (nested(32), {}),
        *((each, {}) for each in NOTHING),
    ],
)
@NATIVE
def test_details_are_a_string_or_nested(shop: Shop, given: Any, expected: dict[str, str]) -> None:
    event = shop.with_line(details=given)
    assert details(event) == expected
    assert repairs(event) == set()


@pytest.mark.parametrize(
    "given",
    [0, 1, 1.5, True, False, nested(33), {"a": nested(32)}, [1, "a", nested(40)]],
    ids=lambda given: repr(given)[:20],
)
@NATIVE
def test_details_that_can_not_be_read_are_left_out(shop: Shop, given: Any) -> None:
    event = shop.with_line(details=given)
    assert details(event) == {}
    assert repairs(event) == {"optional_field"}


def _raw(event: Any, placeholder: str, written: str) -> bytes:
    return json.dumps(event).replace(placeholder, written).encode()
