"""Every rule of native events: what it accepts and sends, and what it rejects."""

from typing import Any

import pytest

from tests.formats.events import ABSENT, assert_invalid, cart, decoded, form, order, product, value
from worker.core.event import Defaults, Entity, Event, Invalid, Skipped
from worker.formats import decode

IDS = [
    ("7", "7"),
    (7, "7"),
    (0, "0"),
    ("0", "0"),
    (-3, "-3"),
    ("a b", "a b"),
    (" ", " "),
    (10**22 + 1, f"{10**22 + 1}"),
]
NOT_IDS = ["", None, ABSENT, True, 1.0, 1.5, [], ["7"], {}]


@pytest.mark.parametrize(("given", "sent"), IDS)
@pytest.mark.parametrize("build", [cart, order])
def test_an_id_is_a_string_or_an_integer(build: Any, given: Any, sent: str) -> None:
    event = build(id=given)
    outcome = decoded(event)
    assert isinstance(outcome, Event)
    assert outcome.entity == Entity(event["type"], sent)
    assert form(event)["id"] == sent


@pytest.mark.parametrize("given", NOT_IDS)
@pytest.mark.parametrize("build", [cart, order])
def test_nothing_else_is_an_id(build: Any, given: Any) -> None:
    outcome = assert_invalid(build(id=given), "id", "a string or an integer, not empty")
    assert outcome.id is None


@pytest.mark.parametrize(("given", "sent"), IDS)
def test_an_order_has_a_cart_id(given: Any, sent: str) -> None:
    assert form(order(cart_id=given))["cart_id"] == sent


@pytest.mark.parametrize("given", NOT_IDS)
def test_an_order_without_a_cart_id_is_invalid(given: Any) -> None:
    assert_invalid(order(cart_id=given), "cart_id", "a string or an integer, not empty")


@pytest.mark.parametrize("given", ["optico", None, ABSENT])
def test_native_events_name_no_source_or_ours(given: Any) -> None:
    assert isinstance(decoded(cart(source=given)), Event)


@pytest.mark.parametrize("given", ["", "magento", "Optico", 0, False, [], {}])
def test_an_unknown_source_is_invalid(given: Any) -> None:
    outcome = assert_invalid(cart(source=given), "source", '"optico" or "cs-cart"')
    assert (outcome.kind, outcome.id) == ("cart", "42")


@pytest.mark.parametrize("given", [ABSENT, None, "", "Cart", "basket", 1, True, ["cart"], {"cart": 1}])
def test_an_unknown_type_is_invalid(given: Any) -> None:
    outcome = assert_invalid(cart(type=given), "type", '"cart" or "order"')
    assert (outcome.kind, outcome.id) == ("unknown", "42")


@pytest.mark.parametrize("given", ["EUR", "XXX"])
@pytest.mark.parametrize("build", [cart, order])
def test_a_currency_is_three_capital_letters(build: Any, given: str) -> None:
    assert form(build(currency=given), Defaults(currency="CHF"))["currency"] == given


@pytest.mark.parametrize("given", ["", "eur", "EU", "EURO", "EUR\n", "ÉUR", 978, [], True])
@pytest.mark.parametrize("build", [cart, order])
def test_anything_else_is_no_currency_even_with_a_default(build: Any, given: Any) -> None:
    assert_invalid(build(currency=given), "currency", "three letters A-Z", Defaults(currency="CHF"))


@pytest.mark.parametrize("given", [ABSENT, None])
@pytest.mark.parametrize("build", [cart, order])
def test_the_default_currency_fills_in_for_an_absent_one(build: Any, given: Any) -> None:
    assert form(build(currency=given), Defaults(currency="CHF"))["currency"] == "CHF"
    assert_invalid(build(currency=given), "currency", "three letters A-Z")


@pytest.mark.parametrize("given", ["3617898c651df0f8617f70a0", " ", "é"])
@pytest.mark.parametrize("build", [cart, order])
def test_a_visit_id_is_a_string(build: Any, given: str) -> None:
    assert form(build(visit_id=given))["visit_id"] == given


@pytest.mark.parametrize("given", ["", None, ABSENT, 5, True, [], {}])
@pytest.mark.parametrize("build", [cart, order])
def test_nothing_else_is_a_visit_id(build: Any, given: Any) -> None:
    assert_invalid(build(visit_id=given), "visit_id", "a string, not empty")


@pytest.mark.parametrize("given", [None, ABSENT, "", "[]", 0, {}, {"0": product()}])
@pytest.mark.parametrize("build", [cart, order])
def test_products_are_an_array(build: Any, given: Any) -> None:
    assert_invalid(build(products=given), "products", "an array")


def test_a_cart_without_products_is_skipped() -> None:
    assert decoded(cart(id=42, products=[])) == Skipped("empty_products", "cart", Entity("cart", "42"))


def test_an_invalid_cart_without_products_is_invalid() -> None:
    assert_invalid(cart(products=[], is_logged_in=2), "is_logged_in", "0, 1")


def test_an_order_without_products_is_invalid() -> None:
    assert_invalid(order(products=[]), "products", "at least one product")


def test_the_products_are_counted() -> None:
    outcome = decoded(order(products=[product(), product(), product()]))
    assert isinstance(outcome, Event)
    assert outcome.products == 3


@pytest.mark.parametrize("given", ["Completed", "Expédiée", " "])
def test_an_order_has_a_status(given: str) -> None:
    assert form(order(status=given))["status"] == given


@pytest.mark.parametrize("given", ["", None, ABSENT, 1, True, []])
def test_an_order_without_a_status_is_invalid_whatever_the_default(given: Any) -> None:
    assert_invalid(order(status=given), "status", "a string, not empty", Defaults(order_status="Open"))


@pytest.mark.parametrize(
    ("given", "sent"), [(0, "0"), (1, "1"), (False, "0"), (True, "1"), ("0", "0"), ("1", "1")], ids=repr
)
def test_logged_in_is_told_in_six_ways(given: Any, sent: str) -> None:
    assert form(cart(is_logged_in=given))["is_logged_in"] == sent


@pytest.mark.parametrize("given", [1.0, 0.0, 2, -1, "", "2", "true", None, ABSENT, [], {}, 10**30], ids=repr)
def test_logged_in_is_told_in_no_other_way(given: Any) -> None:
    assert_invalid(cart(is_logged_in=given), "is_logged_in", '0, 1, true, false, "0" or "1"')


def test_fields_of_the_other_type_are_neither_checked_nor_sent() -> None:
    assert form(cart(status=5, cart_id=[])).keys().isdisjoint({"status", "cart_id"})
    assert "is_logged_in" not in form(order(is_logged_in=7))


@pytest.mark.parametrize(
    ("given", "sent"), [(981, "981"), (0, "0"), (-5, "-5"), ("981", "981"), (10**22 + 1, f"{10**22 + 1}")]
)
@pytest.mark.parametrize("build", [cart, order])
def test_a_call_id_is_an_integer(build: Any, given: Any, sent: str) -> None:
    assert form(build(call_id=given))["call_id"] == sent


@pytest.mark.parametrize("given", [1.0, 1.5, True, "a", "1.0", " 1", "1\n", "-", "\u0661", [], {}], ids=repr)
@pytest.mark.parametrize("build", [cart, order])
def test_nothing_else_is_a_call_id(build: Any, given: Any) -> None:
    assert_invalid(build(call_id=given), "call_id", "an integer, or an integer as a string")


@pytest.mark.parametrize("given", [0, 1, True, [], {}, 1.5])
@pytest.mark.parametrize("build", [cart, order])
def test_an_agent_is_a_string(build: Any, given: Any) -> None:
    assert form(build(agent="bob.martin"))["agent"] == "bob.martin"
    assert_invalid(build(agent=given), "agent", "a string")


@pytest.mark.parametrize("field", ["call_id", "agent"])
@pytest.mark.parametrize("given", [None, "", ABSENT])
@pytest.mark.parametrize("build", [cart, order])
def test_an_absent_call_or_agent_is_left_out(build: Any, given: Any, field: str) -> None:
    assert field not in form(build(**{field: given}))


def test_unknown_fields_are_never_forwarded() -> None:
    event = cart(foo="bar", updated_at=1, key="k", products=[product(sku="x", key="k")])
    assert form(event) == form(cart())


def test_the_first_of_several_problems_is_named() -> None:
    event = order(cart_id="", currency="x", products=[product(), product(name="", price="x")], status=1)
    assert_invalid(event, "cart_id", "a string or an integer")
    assert_invalid(event | {"cart_id": 1, "currency": "EUR"}, "products[1].name", "a string, not empty")


def test_a_tombstone_is_skipped() -> None:
    assert decode(None, Defaults()) == Skipped("tombstone")


@pytest.mark.parametrize("given", [[], [cart()], "cart", 1, 1.5, True, None])
def test_an_event_is_an_object(given: Any) -> None:
    assert assert_invalid(given, "", "a JSON object").kind == "unknown"


def test_an_invalid_order_tells_its_entity() -> None:
    outcome = decode(value(order(status="", id=17)), Defaults())
    assert outcome == Invalid("invalid_event", "order", "status", "a string, not empty", "17")
    assert outcome.message == "status: expected a string, not empty"
