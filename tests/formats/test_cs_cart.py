"""Every rule of CS-Cart events: what it accepts and sends, and what it rejects."""

from itertools import product
from typing import Any

import pytest

from tests.formats.events import ABSENT, assert_invalid, decoded, envelope, form, nested, shop_cart, shop_product
from worker.core.event import Defaults, Entity, Event, Skipped

NOT_CHECKED_OUT = [ABSENT, None, "", "0", 0, "000"]
BIG = 10**22 + 1


def of_products(*products: Any, **changes: Any) -> dict[str, Any]:
    return envelope(cart=shop_cart(products=list(products)), **changes)


def checked_out(**changes: Any) -> dict[str, Any]:
    return envelope(**{"status": "Completed", "cart": shop_cart(order_id="1001")} | changes)


def entity(event: Any, defaults: Defaults | None = None) -> Entity:
    outcome = decoded(event, defaults or Defaults())
    assert isinstance(outcome, Event), outcome
    return outcome.entity


@pytest.mark.parametrize(
    ("own", "user_id", "cart_id"),
    [
        (ABSENT, "42", "42"),
        (None, 42, "42"),
        ("c-9", "42", "c-9"),
        (9, ABSENT, "9"),
        (9, "0", "9"),
        (9, [], "9"),
        ("00", "42", "00"),
        (-1, None, "-1"),
        (ABSENT, BIG, f"{BIG}"),
        (BIG, "42", f"{BIG}"),
    ],
)
def test_the_cart_id_is_the_envelopes_or_else_the_user_id(own: Any, user_id: Any, cart_id: str) -> None:
    event = envelope(id=own, cart=shop_cart(user_id=user_id))
    assert entity(event) == Entity("cart", cart_id)
    assert form(event)["id"] == cart_id
    assert form(checked_out(id=own, cart=shop_cart(user_id=user_id, order_id=5)))["cart_id"] == cart_id


@pytest.mark.parametrize("given", ["", "0", 0, True, 1.5, [], {}])
@pytest.mark.parametrize("order_id", ["0", "1001"])
def test_an_unusable_id_of_the_envelope_is_not_replaced_by_the_user_id(given: Any, order_id: str) -> None:
    event = envelope(id=given, status="Open", cart=shop_cart(order_id=order_id))
    assert_invalid(event, "id", "a string or an integer, not empty and not 0")


@pytest.mark.parametrize("given", [ABSENT, None, "", "0", 0, False, 1.5, [], {}])
@pytest.mark.parametrize("order_id", ["0", "1001"])
def test_without_any_cart_id_the_event_is_invalid(given: Any, order_id: str) -> None:
    event = envelope(status="Open", cart=shop_cart(user_id=given, order_id=order_id))
    assert_invalid(event, "cart.user_id", "a string or an integer, not empty and not 0")


@pytest.mark.parametrize("order_id", NOT_CHECKED_OUT)
def test_without_an_order_id_it_is_a_cart(order_id: Any) -> None:
    event = envelope(status=5, cart=shop_cart(order_id=order_id))
    assert entity(event) == Entity("cart", "42")
    assert form(event).keys().isdisjoint({"status", "cart_id"})


@pytest.mark.parametrize(("order_id", "sent"), [("1001", "1001"), (1001, "1001"), ("A-1", "A-1"), (BIG, f"{BIG}")])
def test_with_an_order_id_it_is_an_order(order_id: Any, sent: str) -> None:
    event = checked_out(cart=shop_cart(order_id=order_id, user_data={"email": "a@example.com"}))
    assert entity(event) == Entity("order", sent)
    parameters = form(event)
    assert (parameters["id"], parameters["cart_id"], parameters["status"]) == (sent, "42", "Completed")
    assert "is_logged_in" not in parameters


@pytest.mark.parametrize("order_id", [True, 1.0, 1.5, [], {}])
def test_an_order_id_is_nothing_else(order_id: Any) -> None:
    outcome = assert_invalid(checked_out(cart=shop_cart(order_id=order_id)), "cart.order_id", "a string or an integer")
    assert (outcome.kind, outcome.id) == ("unknown", None)


@pytest.mark.parametrize("given", [ABSENT, None, ""])
def test_the_default_status_fills_in_for_an_absent_one(given: Any) -> None:
    assert form(checked_out(status=given), Defaults(order_status="Open"))["status"] == "Open"
    outcome = assert_invalid(checked_out(status=given), "status", "a string, not empty")
    assert (outcome.kind, outcome.id) == ("order", "1001")


@pytest.mark.parametrize("given", [0, 1, True, [], {}])
def test_a_status_is_a_string_even_with_a_default(given: Any) -> None:
    assert_invalid(checked_out(status=given), "status", "a string, not empty", Defaults(order_status="Open"))


@pytest.mark.parametrize(
    ("user_data", "sent"),
    [
        ({"email": "a@example.com"}, "1"),
        ({"a": None}, "1"),
        *product([{}, [], ["x"], None, "", "x", 1, True, ABSENT], ["0"]),
    ],
)
def test_a_visitor_with_user_data_is_logged_in(user_data: Any, sent: str) -> None:
    assert form(envelope(cart=shop_cart(user_data=user_data)))["is_logged_in"] == sent


@pytest.mark.parametrize("given", [ABSENT, None, "", [], "{}", 1])
def test_the_envelope_holds_a_cart_object(given: Any) -> None:
    outcome = assert_invalid(envelope(cart=given), "cart", "an object")
    assert (outcome.kind, outcome.id) == ("unknown", None)


@pytest.mark.parametrize("given", ["", None, ABSENT, 5, True])
def test_a_visit_id_is_a_string(given: Any) -> None:
    assert form(envelope(visit_id="v9"))["visit_id"] == "v9"
    assert assert_invalid(envelope(visit_id=given), "visit_id", "a string, not empty").id == "42"


@pytest.mark.parametrize("given", ["", "eur", 978, "EUR\n"])
def test_the_currency_has_the_same_rule(given: Any) -> None:
    assert form(envelope(currency=None), Defaults(currency="CHF"))["currency"] == "CHF"
    assert_invalid(envelope(currency=ABSENT), "currency", "three letters A-Z")
    assert_invalid(envelope(currency=given), "currency", "three letters A-Z", Defaults(currency="CHF"))


def test_call_and_agent_have_the_same_rules() -> None:
    assert form(envelope(call_id="981", agent="bob"))["call_id"] == "981"
    assert form(envelope(call_id="", agent=None)).keys().isdisjoint({"call_id", "agent"})
    assert_invalid(envelope(call_id=1.0), "call_id", "an integer")
    assert_invalid(envelope(agent=1), "agent", "a string")


def test_products_may_be_keyed_by_item_hash() -> None:
    products = {"918": shop_product(product_id="b"), "17": shop_product(product_id="a")}
    parameters = form(envelope(cart=shop_cart(products=products)))
    assert (parameters["products[0][id]"], parameters["products[1][id]"]) == ("b", "a")


def test_a_problem_of_a_keyed_product_is_told_by_its_place() -> None:
    products = {"918": shop_product(), "secret": shop_product(price=ABSENT)}
    assert_invalid(envelope(cart=shop_cart(products=products)), "cart.products[1].price", "a finite number")


@pytest.mark.parametrize("given", [ABSENT, None, "", 0, "[]"])
def test_products_are_nothing_else(given: Any) -> None:
    outcome = assert_invalid(envelope(cart=shop_cart(products=given)), "cart.products", "an array")
    assert (outcome.kind, outcome.id) == ("cart", "42")


@pytest.mark.parametrize("given", [[], {}])
def test_without_products_a_cart_is_skipped_and_an_order_invalid(given: Any) -> None:
    emptied = decoded(envelope(cart=shop_cart(products=given)))
    assert isinstance(emptied, Skipped)
    assert (emptied.reason, emptied.entity is not None) == ("empty_products", True)
    event = checked_out(cart=shop_cart(products=given, order_id=5))
    assert_invalid(event, "cart.products", "at least one product")


def test_an_invalid_cart_without_products_is_invalid() -> None:
    assert_invalid(envelope(cart=shop_cart(products=[], user_id="")), "cart.user_id", "not empty")


def test_the_shops_names_become_the_apis() -> None:
    options = [{"option_name": "Size", "value": "Large"}, {"option_name": 5, "value": [1, None, True]}]
    item = shop_product(product_id="123", product="T-Shirt", amount="2", price="49.90", options=options, subtotal="1")
    parameters = form(of_products(item))
    assert {name: value for name, value in parameters.items() if name.startswith("products")} == {
        "products[0][id]": "123",
        "products[0][name]": "T-Shirt",
        "products[0][quantity]": "2",
        "products[0][price]": "49.9",
        "products[0][details][Size]": "Large",
        "products[0][details][5][0]": "1",
        "products[0][details][5][2]": "1",
    }


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("product_id", None, "a string or a number"),
        ("product_id", ABSENT, "a string or a number"),
        ("product", "", "a string, not empty"),
        ("amount", "1.5", "an integer of 0 or more"),
        ("amount", "-1", "an integer of 0 or more"),
        ("price", "free", "a finite number"),
        ("price", "1e999999999", "a finite number"),
    ],
)
def test_a_product_has_the_native_rules(field: str, given: Any, expected: str) -> None:
    event = of_products(shop_product(), shop_product(**{field: given}))
    assert_invalid(event, f"cart.products[1].{field}", expected)


@pytest.mark.parametrize("given", [ABSENT, None, "", [], {}])
def test_without_options_there_are_no_details(given: Any) -> None:
    assert not [name for name in form(of_products(shop_product(options=given))) if "details" in name]


def test_options_may_be_keyed() -> None:
    options = {"12": {"option_name": "Size", "value": "L"}, "15": {"option_name": "Color", "value": None}}
    parameters = form(of_products(shop_product(options=options)))
    assert {name: value for name, value in parameters.items() if "details" in name} == {
        "products[0][details][Size]": "L"
    }


@pytest.mark.parametrize("given", ["x", 0, 1.5, True, False])
def test_options_are_nothing_else(given: Any) -> None:
    assert_invalid(of_products(shop_product(options=given)), "cart.products[0].options", "an array")


@pytest.mark.parametrize("given", [None, "Size", 1, []])
def test_an_option_is_an_object(given: Any) -> None:
    assert_invalid(of_products(shop_product(options=[given])), "cart.products[0].options[0]", "an object")


@pytest.mark.parametrize("given", [ABSENT, None, "", True, 1.5, []])
@pytest.mark.parametrize("keyed", [False, True])
def test_an_option_has_a_name(given: Any, keyed: bool) -> None:
    options = [{"option_name": "Size", "value": "L"}, {"option_name": given, "value": "L"}]
    if given is ABSENT:
        del options[1]["option_name"]
    event = of_products(shop_product(options=dict(zip("ab", options, strict=True)) if keyed else options))
    assert_invalid(event, "cart.products[0].options[1].option_name", "a string, not empty")


def test_an_options_value_leaves_room_for_the_details_around_it() -> None:
    deepest = {"option_name": "x", "value": nested(31)}
    assert isinstance(decoded(of_products(shop_product(options=[deepest]))), Event)
    event = of_products(shop_product(options=[deepest, {"option_name": "y", "value": nested(32)}]))
    assert_invalid(event, "cart.products[0].options[1].value", "at most 31 deep")


def test_unknown_fields_are_never_forwarded() -> None:
    event = envelope(key="k", type="order", products=[1], cart=shop_cart(firstname="John", total=[], currency="x"))
    assert form(event) == form(envelope())


def test_the_defaults_of_an_order_leave_a_cart_alone() -> None:
    assert "status" not in form(envelope(), Defaults(order_status="Open"))
