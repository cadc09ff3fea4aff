"""Native events, field by field: what is sent as it is, what is repaired, what is invalid."""

from typing import Any

import pytest

from tests.formats.events import ABSENT, assert_invalid, cart, form, order, outcome, product, repairs, sent
from worker.core.event import Entity, Event, Invalid, Skipped
from worker.formats import ReadConfig, read

BIG = 10**22 + 1
BOTH = pytest.mark.parametrize("build", [cart, order])
#: Given, sent, and the labels of the repairs.
IDS: list[tuple[Any, str, set[str]]] = [
    ("7", "7", set()),
    (7, "7", set()),
    (0, "0", set()),
    ("0", "0", set()),
    (-3, "-3", set()),
    ("a b", "a b", set()),
    (" 7", " 7", set()),
    (12345678901234567, "12345678901234567", set()),
    (BIG, f"{BIG}", set()),
    ("900.0", "900.0", set()),
    (900.0, "900", {"number"}),
    (9e2, "900", {"number"}),
]
NOT_IDS = ["", None, ABSENT, True, False, 1.5, 1e300, [], ["7"], {}]


@pytest.mark.parametrize(("given", "written", "labels"), IDS)
@BOTH
def test_an_id_is_a_string_or_an_integer(build: Any, given: Any, written: str, labels: set[str]) -> None:
    event = build(id=given)
    assert sent(event).entity == Entity(event["type"], written)
    assert form(event)["id"] == written
    assert repairs(event) == labels


@pytest.mark.parametrize("given", NOT_IDS)
@BOTH
def test_nothing_else_is_an_id(build: Any, given: Any) -> None:
    assert assert_invalid(build(id=given), "id", "a string or an integer, not empty").id is None


@pytest.mark.parametrize(("given", "written", "labels"), IDS)
def test_an_order_has_a_cart_id(given: Any, written: str, labels: set[str]) -> None:
    assert form(order(cart_id=given))["cart_id"] == written
    assert repairs(order(cart_id=given)) == labels


@pytest.mark.parametrize("given", NOT_IDS)
def test_an_order_without_a_cart_id_is_invalid(given: Any) -> None:
    assert assert_invalid(order(cart_id=given), "cart_id", "a string or an integer, not empty").id == "1001"


@pytest.mark.parametrize("given", ["optico", None, ABSENT])
def test_native_events_name_no_source_or_ours(given: Any) -> None:
    assert repairs(cart(source=given)) == set()


@pytest.mark.parametrize("given", ["", "magento", "Optico", 0, False, [], {}])
def test_an_unknown_source_is_invalid(given: Any) -> None:
    found = assert_invalid(cart(source=given), "source", '"optico" or "cs-cart"')
    assert (found.kind, found.id) == ("cart", "42")


@pytest.mark.parametrize("given", [ABSENT, None, "", "Cart", "basket", 1, True, ["cart"], {"cart": 1}])
def test_an_unknown_type_is_invalid(given: Any) -> None:
    assert assert_invalid(cart(type=given), "type", '"cart" or "order"').kind == "unknown"


@pytest.mark.parametrize(
    ("given", "labels"),
    [("EUR", set()), *((each, {"currency"}) for each in ("eur", " eur ", "EUR ", "Eur", "\teur\n", "EUR\n"))],
)
@BOTH
def test_a_currency_is_three_letters(build: Any, given: str, labels: set[str]) -> None:
    assert form(build(currency=given), ReadConfig(default_currency="CHF"))["currency"] == "EUR"
    assert repairs(build(currency=given)) == labels


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "EU",
        "EURO",
        "E R",
        "€",
        "ÉUR",
        "E1R",
        "eß",
        "\ufb00r",
        "e\u0131u",
        "\ud83cEU",
        978,
        [],
        {},
        True,
        False,
    ],
)
@BOTH
def test_anything_else_is_no_currency_even_with_a_default(build: Any, given: Any) -> None:
    assert_invalid(build(currency=given), "currency", "three letters A-Z", ReadConfig(default_currency="CHF"))


@pytest.mark.parametrize("given", [ABSENT, None])
@BOTH
def test_the_default_currency_fills_in_for_an_absent_one(build: Any, given: Any) -> None:
    config = ReadConfig(default_currency="CHF")
    assert form(build(currency=given), config)["currency"] == "CHF"
    assert repairs(build(currency=given), config) == set()
    assert_invalid(build(currency=given), "currency", "three letters A-Z")


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [
        *((each, each, set()) for each in ("3617898c651df0f8617f70a0", "é", " v", "00", "NULL", "none")),
        (5, "5", {"text"}),
        (1.5, "1.5", {"text"}),
        (BIG, f"{BIG}", {"text"}),
    ],
)
@BOTH
def test_a_visit_id_is_a_string(build: Any, given: Any, written: str, labels: set[str]) -> None:
    assert form(build(visit_id=given))["visit_id"] == written
    assert repairs(build(visit_id=given)) == labels


NOTHING: list[Any] = [None, "", ABSENT, [], {}]
NO_VISITS = [ABSENT, None, False, 0, 0.0, "0", "", " ", "\t\n", "null", "undefined", " null "]


@pytest.mark.parametrize("given", NO_VISITS)
@BOTH
def test_without_a_visit_an_event_is_skipped(build: Any, given: Any) -> None:
    event = build(visit_id=given)
    assert outcome(event) == Skipped("no_visit", event["type"], Entity(event["type"], event["id"]))


@pytest.mark.parametrize("given", [True, [], {}, ["v"], "v\ud83c"])
@BOTH
def test_nothing_else_is_a_visit_id(build: Any, given: Any) -> None:
    assert_invalid(build(visit_id=given), "visit_id", "a string that names a visit")


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [
        *((each, each, set()) for each in ("Completed", "Expédiée", " ")),
        (5, "5", {"text"}),
        (0, "0", {"text"}),
        (5.0, "5", {"text"}),
        ("Paid \ud83c", "Paid \ufffd", {"encoding"}),
    ],
)
def test_an_order_has_a_status(given: Any, written: str, labels: set[str]) -> None:
    assert form(order(status=given))["status"] == written
    assert repairs(order(status=given)) == labels


@pytest.mark.parametrize("given", ["", None, ABSENT, True, False, [], {}])
def test_a_native_order_without_a_status_is_invalid_whatever_the_default(given: Any) -> None:
    assert_invalid(order(status=given), "status", "a string, not empty", ReadConfig(default_order_status="Open"))


def test_a_status_is_mapped_and_others_stay() -> None:
    config = ReadConfig(order_statuses={"P": "Processed", "5": "Done"})
    assert [form(order(status=given), config)["status"] for given in ("P", 5, "p", "Open")] == [
        *("Processed", "Done", "p", "Open")
    ]


@pytest.mark.parametrize(
    ("given", "written"),
    [(0, "0"), (1, "1"), (False, "0"), (True, "1"), ("0", "0"), ("1", "1"), (1.0, "1"), (0.0, "0")],
    ids=repr,
)
def test_logged_in_is_told_in_six_ways(given: Any, written: str) -> None:
    assert form(cart(is_logged_in=given))["is_logged_in"] == written
    assert repairs(cart(is_logged_in=given)) == set()


@pytest.mark.parametrize(
    ("written", "given"),
    [
        *(("1", each) for each in ("y", "Y", "yes", "YES", "true", "True", "on", " Yes ")),
        *(("0", each) for each in ("n", "N", "no", "No", "false", "FALSE", "off", "OFF ")),
        *(("0", each) for each in NOTHING),
        *(("1", each) for each in (2, -1, 0.5, "2", "00", "0.0", " ", "x", [0], {"a": None}, 10**30)),
    ],
    ids=repr,
)
def test_what_else_tells_of_a_login_is_read_as_php_does(given: Any, written: str) -> None:
    assert form(cart(is_logged_in=given))["is_logged_in"] == written
    assert repairs(cart(is_logged_in=given)) == {"boolean"}


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [
        *((each, str(each), set()) for each in (981, -5, "981", BIG, "007", f"{BIG}")),
        (900.0, "900", {"number"}),
        (" 981", "981", {"number"}),
        ("+981", "981", {"number"}),
        ("981.0", "981", {"number"}),
    ],
)
@BOTH
def test_a_call_id_is_an_integer(build: Any, given: Any, written: str, labels: set[str]) -> None:
    event = build(call_id=given)
    assert form(event)["call_id"] == sent(event).call_id == written
    assert repairs(event) == labels


@pytest.mark.parametrize(
    "given", [0, 0.0, "0", "00", "-0", False, True, 1.5, "1.5", "a", "-", "\u0661", " ", [], {}, [981]], ids=repr
)
@BOTH
def test_a_call_id_that_is_none_is_left_out(build: Any, given: Any) -> None:
    event = build(call_id=given)
    assert "call_id" not in form(event)
    assert sent(event).call_id is None
    assert repairs(event) == {"optional_field"}


@pytest.mark.parametrize(
    ("given", "written", "labels"),
    [("bob.martin", "bob.martin", set()), (7, "7", {"text"}), (0, "0", {"text"}), ("Zoé", "Zoé", set())],
)
@BOTH
def test_an_agent_is_a_string(build: Any, given: Any, written: str, labels: set[str]) -> None:
    event = build(agent=given)
    assert form(event)["agent"] == sent(event).agent == written
    assert repairs(event) == labels


@pytest.mark.parametrize("given", [True, False, [], {}, ["bob"]])
@BOTH
def test_an_agent_that_is_none_is_left_out(build: Any, given: Any) -> None:
    event = build(agent=given)
    assert "agent" not in form(event)
    assert sent(event).agent is None
    assert repairs(event) == {"optional_field"}


@pytest.mark.parametrize("field", ["call_id", "agent"])
@pytest.mark.parametrize("given", [None, "", ABSENT])
@BOTH
def test_an_absent_call_or_agent_is_no_repair(build: Any, given: Any, field: str) -> None:
    assert field not in form(build(**{field: given}))
    assert repairs(build(**{field: given})) == set()


def test_fields_of_the_other_type_are_neither_checked_nor_sent() -> None:
    assert form(cart(status=[], cart_id=[])).keys().isdisjoint({"status", "cart_id"})
    assert "is_logged_in" not in form(order(is_logged_in=7))
    assert repairs(cart(status=[], cart_id=[])) == repairs(order(is_logged_in=7)) == set()


def test_unknown_fields_are_never_forwarded() -> None:
    event = cart(foo="bar", updated_at=1, key="k", products=[product(sku="x", key="k", amount=9, subtotal=1)])
    assert form(event) == form(cart())


def test_the_first_of_several_problems_is_named() -> None:
    event = order(cart_id="", currency="x", products=[product(), product(price="x")], status=[])
    assert_invalid(event, "cart_id")
    assert_invalid(event | {"cart_id": 1}, "currency")
    assert_invalid(event | {"cart_id": 1, "currency": "EUR"}, "products[1].price")


def test_several_repairs_are_counted_once_each() -> None:
    event = cart(currency="eur", is_logged_in="Y", products=[product(price=None), product(price=""), product(id=None)])
    assert repairs(event) == {"currency", "boolean", "price", "product_id"}
    assert sent(event).repairs["price"] == "products[0].price"


def test_a_tombstone_is_skipped() -> None:
    assert read(None, ReadConfig()) == Skipped("tombstone")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], "an array"),
        ([cart()], "an array"),
        (1, "a number"),
        (1.5, "a number"),
        (True, "true or false"),
        (None, "null"),
    ],
)
def test_an_event_is_an_object(given: Any, found: str) -> None:
    assert assert_invalid(given, "", f"expected a JSON object, found {found}").kind == "unknown"


def test_an_invalid_order_tells_its_entity() -> None:
    found = outcome(order(status="", id=17), ReadConfig(id_prefix="fr-"))
    assert isinstance(found, Invalid)
    assert (found.kind, found.id, found.message) == ("order", "fr-17", "status: expected a string, not empty")


def test_a_prefix_stands_before_the_ids_of_carts_and_orders() -> None:
    config = ReadConfig(id_prefixes={"shop-fr.carts": "fr-"})
    french, other = config.for_topic("shop-fr.carts"), config.for_topic("carts")
    assert sent(cart(id=42), french).entity == Entity("cart", "fr-42")
    assert {name: form(order(), french)[name] for name in ("id", "cart_id")} == {"id": "fr-1001", "cart_id": "fr-42"}
    assert sent(cart(id=42), other).entity == Entity("cart", "42")
    assert outcome(cart(products=[]), french) == Skipped("empty_products", "cart", Entity("cart", "fr-42"))
    assert isinstance(sent(cart(id=42), french.for_topic("carts")), Event)
