"""CS-Cart events: which entity they are of, and what of the shop's own fields becomes what."""

from typing import Any

import pytest

from tests.formats.events import (
    ABSENT,
    assert_invalid,
    checked_out,
    envelope,
    form,
    outcome,
    repairs,
    sent,
    shop_cart,
    shop_product,
    value,
)
from worker.core.event import Entity, Invalid, Skipped
from worker.formats import ReadConfig, read

NONE = [ABSENT, None, "", "0", 0, False, "000", 0.0]
BIG = 10**22 + 1
BY_COMPANY = ReadConfig(cs_cart_id_fields=("user_id", "company_id"))


@pytest.mark.parametrize(
    ("own", "user_id", "cart_id", "labels"),
    [
        (ABSENT, "42", "42", set()),
        (None, 42, "42", set()),
        ("", "42", "42", set()),
        ("c-9", "42", "c-9", set()),
        (9, ABSENT, "9", set()),
        (9, "0", "9", set()),
        (9, [], "9", set()),
        (-1, None, "-1", set()),
        (ABSENT, BIG, f"{BIG}", set()),
        (BIG, "42", f"{BIG}", set()),
        (900.0, "42", "900", {"number"}),
        (ABSENT, 900.0, "900", {"number"}),
    ],
)
def test_the_cart_id_is_the_envelopes_or_else_the_user_id(
    own: Any, user_id: Any, cart_id: str, labels: set[str]
) -> None:
    event = envelope(id=own, cart=shop_cart(user_id=user_id))
    assert sent(event).entity == Entity("cart", cart_id)
    assert form(event)["id"] == cart_id
    assert repairs(event) == labels
    ordered = envelope(id=own, status="Open", cart=shop_cart(user_id=user_id, order_id=5))
    assert form(ordered)["cart_id"] == cart_id
    assert repairs(ordered) == labels


@pytest.mark.parametrize("given", [True, 1.5, [], {}, ["9"], "a\ud83c"])
def test_an_unusable_id_of_the_envelope_is_not_replaced_by_the_user_id(given: Any) -> None:
    assert_invalid(envelope(id=given), "id", "a string or an integer, not empty")


@pytest.mark.parametrize("given", [*NONE, 1.5, True, [], {}, "a\ud83c"], ids=repr)
def test_a_cart_without_any_id_is_invalid_and_told_where_to_put_one(given: Any) -> None:
    found = assert_invalid(envelope(cart=shop_cart(user_id=given)), "cart.user_id", "the envelope's `id`")
    assert (found.kind, found.id) == ("cart", None)


@pytest.mark.parametrize(
    ("user_id", "company_id", "cart_id"),
    [("33", "2", "33-2"), (33, 2, "33-2"), ("33", "0", "33-0"), ("33", 0, "33-0"), (" 1", "a-b", " 1-a-b")],
)
def test_the_cart_id_is_made_of_the_configured_fields(user_id: Any, company_id: Any, cart_id: str) -> None:
    own = shop_cart(user_id=user_id, company_id=company_id)
    assert sent(envelope(cart=own), BY_COMPANY).entity == Entity("cart", cart_id)
    assert sent(envelope(id="c-9", cart=own), BY_COMPANY).entity == Entity("cart", "c-9")
    assert form(envelope(status="Open", cart=own | {"order_id": 5}), BY_COMPANY)["cart_id"] == cart_id


@pytest.mark.parametrize("given", [ABSENT, None, "", False, True, 1.5, [], {}], ids=repr)
def test_a_configured_field_that_is_missing_is_named(given: Any) -> None:
    own = shop_cart(company_id=given)
    assert_invalid(envelope(cart=own), "cart.company_id", "the envelope's `id`", BY_COMPANY)
    assert_invalid(envelope(cart=shop_cart(user_id="0", company_id="2")), "cart.user_id", "not 0", BY_COMPANY)


@pytest.mark.parametrize("given", [*NONE, True, 1.5, [], {}], ids=repr)
def test_a_guests_order_gets_a_cart_id_of_its_own(given: Any) -> None:
    event = checked_out(user_id=given)
    assert sent(event).entity == Entity("order", "1001")
    assert form(event)["cart_id"] == "order-1001"
    assert repairs(event) == {"cart_id"}
    assert form(checked_out(user_id="42"), BY_COMPANY)["cart_id"] == "order-1001"
    assert form(event, ReadConfig(id_prefix="fr-"))["cart_id"] == "fr-order-1001"


@pytest.mark.parametrize("order_id", NONE, ids=repr)
def test_without_an_order_id_it_is_a_cart(order_id: Any) -> None:
    event = envelope(status=[], cart=shop_cart(order_id=order_id, status=5, is_parent_order="Y"))
    assert sent(event).entity == Entity("cart", "42")
    assert form(event).keys().isdisjoint({"status", "cart_id"})
    assert repairs(event) == set()


@pytest.mark.parametrize(
    ("order_id", "written", "labels"),
    [
        ("1001", "1001", set()),
        (1001, "1001", set()),
        ("A-1", "A-1", set()),
        (BIG, f"{BIG}", set()),
        (1001.0, "1001", {"number"}),
    ],
)
def test_with_an_order_id_it_is_an_order(order_id: Any, written: str, labels: set[str]) -> None:
    event = checked_out(order_id=order_id, user_data={"email": "a@example.com"})
    assert sent(event).entity == Entity("order", written)
    parameters = form(event)
    assert (parameters["id"], parameters["cart_id"], parameters["status"]) == (written, "42", "Completed")
    assert "is_logged_in" not in parameters
    assert repairs(event) == labels


@pytest.mark.parametrize("order_id", [True, 1.5, [], {}, "a\ud83c"])
def test_an_order_id_is_nothing_else(order_id: Any) -> None:
    assert assert_invalid(checked_out(order_id=order_id), "cart.order_id", "a string or an integer").id is None


@pytest.mark.parametrize(
    ("own", "inner", "default", "status", "labels"),
    [
        ("Open", "P", "X", "Open", set()),
        (ABSENT, "P", "X", "P", set()),
        (None, "P", None, "P", set()),
        ("", 5, None, "5", {"text"}),
        (7, "P", None, "7", {"text"}),
        (False, "", "X", "X", set()),
        (ABSENT, None, "X", "X", set()),
        ([], "P", None, "P", {"optional_field"}),
        (True, ABSENT, "X", "X", {"optional_field"}),
    ],
)
def test_the_status_is_the_envelopes_the_orders_or_the_configured_one(
    own: Any, inner: Any, default: str | None, status: str, labels: set[str]
) -> None:
    config = ReadConfig(default_order_status=default)
    event = envelope(status=own, cart=shop_cart(order_id="1001", status=inner))
    assert form(event, config)["status"] == status
    assert repairs(event, config) == labels


@pytest.mark.parametrize("inner", [ABSENT, None, "", [], True])
def test_without_any_status_an_order_is_invalid(inner: Any) -> None:
    event = envelope(cart=shop_cart(order_id="1001", status=inner))
    found = assert_invalid(event, "status", "a string, not empty")
    assert (found.kind, found.id) == ("order", "1001")


def test_every_status_is_mapped_wherever_it_is_from() -> None:
    config = ReadConfig(order_statuses={"P": "Processed"}, default_order_status="P")
    for own, inner in [("P", "O"), (ABSENT, "P"), (ABSENT, ABSENT)]:
        assert form(envelope(status=own, cart=shop_cart(order_id=1, status=inner)), config)["status"] == "Processed"
    assert form(envelope(cart=shop_cart(order_id=1, status="O")), config)["status"] == "O"


@pytest.mark.parametrize("products", [ABSENT, [], [None], [shop_product()], "x"])
@pytest.mark.parametrize("visit_id", ["v1", None, True])
def test_a_parent_order_is_skipped_as_its_children_arrive_themselves(products: Any, visit_id: Any) -> None:
    event = envelope(
        visit_id=visit_id, cart=shop_cart(order_id="1200", is_parent_order="Y", products=products, user_id="33")
    )
    assert outcome(event) == Skipped("parent_order", "order", Entity("order", "1200"))


@pytest.mark.parametrize("given", ["N", "", None, ABSENT, "y", True, 1])
def test_any_other_order_is_not_a_parent(given: Any) -> None:
    assert sent(checked_out(is_parent_order=given)).entity == Entity("order", "1001")


GUESTS: list[Any] = [ABSENT, None, "", [], {}, False, 0, {"a": None}, {"a": ""}, {"a": 0}, {"a": "0", "b": None}]
GUESTS += [{"user_id": 0, "email": "a@example.com"}, {"user_id": "0", "b_firstname": "Guest"}]
GUESTS += [{"firstname": None, "lastname": None, "phone": None}]


@pytest.mark.parametrize("user_data", GUESTS, ids=repr)
def test_a_guest_is_not_logged_in(user_data: Any) -> None:
    event = envelope(cart=shop_cart(user_data=user_data))
    assert form(event)["is_logged_in"] == "0"
    assert repairs(event) == set()


@pytest.mark.parametrize(
    "user_data",
    [{"email": "a@example.com"}, {"user_id": "33", "email": ""}, {"user_id": 33}, {"a": 1}, {"a": None, "b": "x"}],
    ids=repr,
)
def test_a_registered_user_is_logged_in(user_data: Any) -> None:
    event = envelope(cart=shop_cart(user_data=user_data))
    assert form(event)["is_logged_in"] == "1"
    assert repairs(event) == set()


@pytest.mark.parametrize("given", [ABSENT, None, "", [], "{}", 1])
def test_the_envelope_holds_a_cart_object(given: Any) -> None:
    found = assert_invalid(envelope(cart=given), "cart", "an object")
    assert (found.kind, found.id) == ("unknown", None)


@pytest.mark.parametrize("event", [envelope(), checked_out()], ids=["cart", "order"])
def test_the_fields_of_the_envelope_have_the_same_rules_as_native_ones(event: dict[str, Any]) -> None:
    def changed(**changes: Any) -> dict[str, Any]:
        return event | changes

    assert repairs(changed(currency=" eur ")) == {"currency"}
    assert form(changed(currency=None), ReadConfig(default_currency="CHF"))["currency"] == "CHF"
    assert_invalid(changed(currency="EURO"), "currency", "three letters A-Z")
    assert repairs(changed(visit_id=5)) == {"text"}
    assert_invalid(changed(visit_id=True), "visit_id")
    skipped = outcome(changed(visit_id="undefined"))
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "no_visit"
    assert form(changed(call_id="981", agent="bob"))["call_id"] == "981"
    assert form(changed(call_id="", agent=None)).keys().isdisjoint({"call_id", "agent"})
    assert repairs(changed(call_id=0)) == repairs(changed(agent=[])) == {"optional_field"}
    assert repairs(changed(agent=1)) == {"text"}


def test_a_product_of_the_documentation_becomes_a_product_of_the_api() -> None:
    item = shop_product(
        product_id="123",
        product="T-Shirt",
        amount="2",
        price="49.90",
        options=[
            {"option_id": "12", "option_name": "Size", "value": "Large"},
            {"option_id": "15", "option_name": 5, "value": ["1", None, True]},
        ],
    )
    parameters = form(envelope(cart=shop_cart(products=[item])))
    assert {name: value for name, value in parameters.items() if name.startswith("products")} == {
        "products[0][id]": "123",
        "products[0][name]": "T-Shirt",
        "products[0][quantity]": "2",
        "products[0][price]": "49.9",
        "products[0][details][Size]": "Large",
        "products[0][details][5][0]": "1",
        "products[0][details][5][2]": "1",
    }


def test_unknown_fields_are_never_forwarded() -> None:
    event = envelope(key="k", type="order", products=[1], cart=shop_cart(firstname="John", total=[], currency="x"))
    assert form(event) == form(envelope())


def test_the_defaults_of_an_order_leave_a_cart_alone() -> None:
    assert "status" not in form(envelope(), ReadConfig(default_order_status="Open"))


def test_an_order_whose_cart_id_is_not_utf_8_is_invalid() -> None:
    """Two carts could become one."""
    record = value(envelope(status="Open", cart=shop_cart(order_id="1001", user_id="A?"))).replace(b"A?", b"A\xe9")
    outcome = read(record, ReadConfig())
    assert isinstance(outcome, Invalid)
    assert (outcome.path, outcome.id) == ("cart.user_id", "1001")
