"""From a record's bytes to an event: encodings, envelopes, and what is no event at all."""

import base64
import gzip
import json
from typing import Any

import pytest

from tests.formats.events import (
    PLAIN,
    assert_invalid,
    cart,
    checked_out,
    details,
    envelope,
    form,
    order,
    outcome,
    product,
    repairs,
    sent,
    shop_cart,
    shop_product,
    value,
)
from worker.core.event import Entity, Event, Invalid, Skipped
from worker.formats import ReadConfig, read

BOM = b"\xef\xbb\xbf"
REGISTRY = b"\0\0\0\0\x07"
HALF = "\ud83c"
EVENTS = pytest.mark.parametrize(
    "event", [cart(), order(), envelope(), checked_out()], ids=["cart", "order", "CS-Cart cart", "CS-Cart order"]
)


def malformed(record: bytes) -> str:
    """The message of a record that is no JSON."""
    found = read(record, PLAIN)
    assert isinstance(found, Invalid), found
    assert (found.reason, found.kind, found.path, found.id) == ("malformed_json", "unknown", "", None)
    return found.problem


def same(record: Any, event: Any, *labels: str) -> None:
    """The record is sent as the event is, with these repairs."""
    assert form(record) == form(event)
    assert repairs(record) == set(labels)


# Encoding


@EVENTS
def test_a_byte_order_mark_is_dropped(event: Any) -> None:
    same(BOM + value(event), event, "encoding")
    same(BOM + b" \n" + value(event), event, "encoding")


LATIN = [b"\xe9", b"\xff\xfe", b"\xc3", b"\xed\xa0\xbc", b"\\ud83c", b"\\udfff", b"\xf4\x90\x80\x80"]


@pytest.mark.parametrize("damage", LATIN, ids=repr)
def test_what_is_no_character_becomes_u_fffd_where_it_is_shown(damage: bytes) -> None:
    for event in (
        cart(products=[product(name="A~")]),
        order(products=[product(details={"a~": "b~"})]),
        order(status="A~"),
        cart(agent="A~"),
        cart(products=[product(id="A~")]),
        envelope(cart=shop_cart(products=[shop_product(product="A~")])),
        envelope(cart=shop_cart(products=[shop_product(options=[{"option_name": "~", "value": "~"}])])),
    ):
        record = value(event).replace(b"~", damage)
        assert repairs(record) == {"encoding"}
        sent_values = "".join([*form(record), *form(record).values()])
        assert "\ufffd" in sent_values
        assert sent_values.replace("\ufffd", "") == "".join([*form(event), *form(event).values()]).replace("~", "")


@pytest.mark.parametrize("damage", LATIN, ids=repr)
@pytest.mark.parametrize(
    ("event", "path"),
    [
        (cart(id="A~"), "id"),
        (order(id="A~"), "id"),
        (order(cart_id="~"), "cart_id"),
        (cart(visit_id="A~"), "visit_id"),
        (order(visit_id="A~"), "visit_id"),
        (envelope(id="A~"), "id"),
        (envelope(cart=shop_cart(user_id="A~")), "cart.user_id"),
        (checked_out(order_id="A~"), "cart.order_id"),
    ],
)
def test_what_is_no_character_is_invalid_in_an_id_as_two_carts_could_become_one(
    event: Any, path: str, damage: bytes
) -> None:
    assert_invalid(value(event).replace(b"~", damage), path)


def test_an_id_that_holds_u_fffd_itself_is_the_producers_own() -> None:
    assert sent(cart(id="A\ufffd", visit_id="\ufffd")).entity == Entity("cart", "A\ufffd")
    assert repairs(cart(id="A\ufffd")) == set()


def test_damage_in_what_is_not_sent_is_no_repair() -> None:
    assert repairs(cart(unknown=HALF, products=[product(sku=HALF)])) == set()
    assert repairs(cart(**{HALF: 1})) == set()


def test_pairs_of_surrogates_and_nul_are_characters() -> None:
    event = cart(products=[product(name="\U0001f389", details="\0")])
    assert form(event)["products[0][name]"] == "\U0001f389"
    assert details(event) == {"": "\0"}
    assert repairs(event) == set()


# Envelopes


def cloud_event(data: Any, **more: Any) -> dict[str, Any]:
    head = {"specversion": "1.0", "id": "a1", "source": "/shop", "type": "com.example.cart.updated"}
    return head | {"data": data} | more


def connect(payload: Any) -> dict[str, Any]:
    return {"schema": {"type": "struct", "fields": []}, "payload": payload}


def in_string(event: Any) -> str:
    return json.dumps(event)


@EVENTS
def test_each_envelope_is_taken_off(event: Any) -> None:
    same(REGISTRY + value(event), event, "envelope")
    same(cloud_event(event), event, "envelope")
    same(connect(event), event, "envelope")
    same(in_string(event), event, "envelope")
    encoded = {name: item for name, item in cloud_event(0).items() if name != "data"}
    same(encoded | {"data_base64": base64.b64encode(value(event)).decode()}, event, "envelope")


@EVENTS
def test_two_envelopes_are_taken_off(event: Any) -> None:
    same(cloud_event(in_string(event)), event, "envelope")
    same(connect(in_string(event)), event, "envelope")
    same(cloud_event(connect(event)), event, "envelope")
    same(connect(cloud_event(event)), event, "envelope")
    same(in_string(in_string(event)), event, "envelope")
    same(in_string(cloud_event(event)), event, "envelope")
    same(REGISTRY + value(cloud_event(event)), event, "envelope")
    same(REGISTRY + value(in_string(event)), event, "envelope")
    same(BOM + value(connect(in_string(event))), event, "envelope", "encoding")
    same(REGISTRY + BOM + value(event), event, "envelope", "encoding")


@EVENTS
def test_a_third_envelope_is_too_many(event: Any) -> None:
    for record in (
        cloud_event(connect(in_string(event))),
        in_string(in_string(in_string(event))),
        connect(connect(connect(event))),
        REGISTRY + value(cloud_event(in_string(event))),
        REGISTRY + value(connect(cloud_event(event))),
    ):
        found = outcome(record)
        assert isinstance(found, Invalid)
        assert found.reason == "invalid_event"
        assert "at most 2 envelopes" in found.problem or "found a string" in found.problem


@pytest.mark.parametrize(
    "record",
    [
        cloud_event(None),
        connect(None),
        "null",
        REGISTRY + b"null",
        cloud_event(connect(None)),
        connect("null"),
        in_string("null"),
        REGISTRY + value(connect(None)),
    ],
    ids=repr,
)
def test_an_envelope_around_null_is_a_tombstone(record: Any) -> None:
    found = outcome(record)
    assert isinstance(found, Skipped)
    assert (found.reason, found.entity) == ("tombstone", None)


@pytest.mark.parametrize("record", [b"null", BOM + b"null", b" null\n"])
def test_a_bare_null_is_invalid(record: bytes) -> None:
    assert_invalid(record, "", "found null")


@EVENTS
def test_an_event_that_is_valid_as_it_stands_is_never_unwrapped(event: Any) -> None:
    also: list[dict[str, Any]] = [
        {"specversion": "1.0"},
        {"specversion": "1.0", "data": cart(id="other")},
        {"schema": 1, "payload": cart(id="other")},
        {"schema": {}, "payload": None},
        {"op": "u", "before": None, "after": {}},
        {"payload": "x"},
    ]
    for more in also:
        same(event | more, event)


@pytest.mark.parametrize("more", [{"specversion": "1.0"}, {"schema": 1, "payload": None}, {"schema": 1, "payload": {}}])
def test_an_event_that_is_skipped_as_it_stands_is_never_unwrapped(more: dict[str, Any]) -> None:
    emptied = outcome(cart(products=[]) | more)
    assert isinstance(emptied, Skipped)
    assert (emptied.reason, emptied.entity) == ("empty_products", Entity("cart", "42"))
    for event in (cart(visit_id=None), order(visit_id=None), envelope(visit_id="")):
        unseen = outcome(event | more)
        assert isinstance(unseen, Skipped)
        assert unseen.reason == "no_visit"
    parent = outcome(checked_out(is_parent_order="Y") | more)
    assert isinstance(parent, Skipped)
    assert parent.reason == "parent_order"


def test_a_cloud_event_is_unwrapped_though_its_own_fields_look_like_an_event() -> None:
    same(cloud_event(cart(), source="optico", type="cart"), cart(), "envelope")
    same(cloud_event(order(), source="optico", type="order", visit_id="v"), order(), "envelope")


def test_the_path_of_a_problem_leads_through_the_envelopes() -> None:
    bad = order(products=[product(price="12,50")])
    assert_invalid(cloud_event(bad), "data.products[0].price")
    assert_invalid(connect(bad), "payload.products[0].price")
    assert_invalid(cloud_event(connect(bad)), "data.payload.products[0].price")
    assert_invalid(in_string(bad), "products[0].price")
    assert_invalid(connect(in_string(bad)), "payload.products[0].price")
    assert_invalid(connect(checked_out(products=[shop_product(price="x")])), "payload.cart.products[0].price")
    assert sent(cloud_event(cart(currency="eur"))).repairs["currency"] == "data.currency"


@pytest.mark.parametrize("content", [1, [], True, [cart()]])
def test_what_an_envelope_holds_is_an_object_or_a_text(content: Any) -> None:
    assert_invalid(cloud_event(content), "data", "expected a JSON object, found ")
    assert_invalid(connect(content), "payload", "expected a JSON object, found ")


@pytest.mark.parametrize("text", ["", "x", "{", '{"type": "cart"', "cart:42", "NaN"])
def test_a_text_that_holds_no_json_is_malformed_and_not_repeated(text: str) -> None:
    for record in (text, connect(text)):
        found = outcome(record)
        assert isinstance(found, Invalid)
        assert found.reason == "malformed_json"
        assert "found a string" in found.problem
    assert "secret" not in str(outcome("secret words"))


@pytest.mark.parametrize("content", ["", "?", "e30", "AAAA", 5, None, []])
def test_base64_that_holds_no_json_is_malformed(content: Any) -> None:
    found = outcome({"specversion": "1.0", "data_base64": content})
    assert isinstance(found, Invalid)
    assert (found.reason, found.problem) == ("malformed_json", "data_base64: expected JSON in base64")


# What is no event


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (gzip.compress(value(cart()), mtime=0), "gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (value(cart()).decode().encode("utf-16"), "UTF-16"),
        (value(cart()).decode().encode("utf-16-le"), "UTF-16"),
        (value(cart()).decode().encode("utf-16-be"), "UTF-16"),
        (json.dumps([cart()]).encode("utf-16-le"), "UTF-16"),
        (REGISTRY + b"\x0442\x06EUR", "schema registry"),
        (b"<cart/>", "XML"),
        (b'a:1:{s:2:"id";i:42;}', "serialize()"),
        (b"type=cart&id=42", "form body"),
        (b"\xac\xed\x00\x05", "Java"),
        (b"", "an empty value"),
        (b" \n", "an empty value"),
        (BOM, "an empty value"),
    ],
    ids=lambda given: repr(given)[:20],
)
def test_what_is_no_json_is_named(record: bytes, said: str) -> None:
    assert said in malformed(record)


@pytest.mark.parametrize(
    "change",
    [
        {"before": None, "after": cart(), "source": {"connector": "mysql"}, "op": "c"},
        {"before": cart(), "after": None, "op": "d", "ts_ms": 1},
        {"after": {"id": 1}, "op": "r"},
    ],
)
def test_a_debezium_change_is_named_also_in_connects_envelope(change: dict[str, Any]) -> None:
    assert_invalid(change, "", "Debezium")
    assert_invalid(connect(change), "payload", "Debezium")


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (b"{", 1),
        (b"x", 0),
        (b'{"a": }', 6),
        (b'{"a": 1} x', 9),
        (b'{"a": 1}\0', 8),
        (BOM + b"{", 4),
        (BOM + b'{"a": }', 9),
        (BOM + BOM + b"{}", 3),
        (REGISTRY + b"{", 6),
        (REGISTRY + BOM + b'{"a": }', 14),
        ('{"é": }'.encode(), 7),
        ('{"\U0001f389": }'.encode(), 9),
        (b'{"\xe9": }', 6),
        (b'{"\xe9\xff\xc3": }', 8),
        (b'{"\xed\xa0\xbc": }', 8),
        (BOM + b'{"\xe9": }', 9),
        (b'{"a": NaN}', 6),
        (b'{"NaN": "Infinity", "\xe9": -Infinity}', 25),
        (b'{"a": nan}', 6),
        (b"{'a': 1}", 1),
        (b'{"a": 01}', 7),
        (b'{"a": 1.}', 7),
        (b'{"a": "\n"}', 7),
        (b'{"a": "\\x"}', 7),
    ],
    ids=lambda given: repr(given)[:30],
)
def test_a_message_names_the_byte_at_which_json_ends(record: bytes, place: int) -> None:
    assert malformed(record).startswith(f"byte {place}: ")


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_what_nests_too_deep_is_told_so(depth: int) -> None:
    for record in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth):
        assert "too deep" in malformed(record)


# When it happened, against the record


@EVENTS
def test_an_event_of_the_future_counts_from_its_record(event: Any) -> None:
    recorded_at = 1_795_251_600_000

    def found(occurred_at: float) -> Event:
        answer = outcome(event | {"occurred_at": occurred_at}, PLAIN, recorded_at)
        assert isinstance(answer, Event)
        return answer

    assert found(1_795_251_600 + 60).occurred_at == 1_795_251_660
    assert found(1_795_251_600 - 10_000).occurred_at == 1_795_241_600
    late = found(1_795_251_600 + 61)
    assert (late.occurred_at, set(late.repairs)) == (None, {"optional_field"})
    assert sent(event | {"occurred_at": 1_795_251_600 + 61}).occurred_at == 1_795_251_661


# Emptied carts


EMPTY: list[Any] = [[], {}, None, False, ""]
NAMED = ReadConfig(emptied_cart_name="Emptied")


@pytest.mark.parametrize("products", EMPTY, ids=repr)
@pytest.mark.parametrize("build", [cart, lambda **more: envelope(cart=shop_cart(**more))], ids=["native", "CS-Cart"])
def test_an_emptied_cart_is_skipped(build: Any, products: Any) -> None:
    event = build(products=products)
    found = outcome(event)
    assert isinstance(found, Skipped)
    assert (found.reason, found.entity) == ("empty_products", Entity("cart", "42"))
    native_array = products == [] or (products == {} and "source" in event)
    assert set(found.repairs) == (set() if native_array else {"products"})


@pytest.mark.parametrize("products", EMPTY, ids=repr)
def test_an_order_without_products_is_invalid(products: Any) -> None:
    assert_invalid(order(products=products), "products", "at least one product", NAMED)
    assert_invalid(checked_out(products=products), "cart.products", "at least one product", NAMED)


EMPTIED_WITHOUT = [
    {"type": "cart", "id": "42", "products": []},
    cart(products=[], visit_id=None),
    cart(products=[], visit_id=True),
    cart(products=[], currency="?"),
    {"source": "cs-cart", "cart": {"user_id": "42", "products": []}},
]


@pytest.mark.parametrize("event", EMPTIED_WITHOUT, ids=range(5))
def test_an_emptied_cart_is_skipped_whatever_else_is_missing(event: Any) -> None:
    for config in (PLAIN, NAMED):
        assert outcome(event, config) == Skipped("empty_products", "cart", Entity("cart", "42"))


def test_an_emptied_cart_whose_id_can_not_be_read_is_invalid() -> None:
    assert_invalid({"type": "cart", "products": []}, "id")
    assert_invalid({"source": "cs-cart", "cart": {"user_id": "0", "products": []}}, "cart.user_id")


@pytest.mark.parametrize(
    "event",
    [cart(products=[], call_id=7, agent="bob"), envelope(call_id=7, agent="bob", cart=shop_cart(products={}))],
    ids=["native", "CS-Cart"],
)
def test_an_emptied_cart_is_sent_with_one_line_that_says_so(event: Any) -> None:
    found = form(event, NAMED)
    lines = {name: item for name, item in found.items() if name.startswith("products")}
    assert lines == {
        "products[0][id]": "n/a",
        "products[0][name]": "Emptied",
        "products[0][quantity]": "0",
        "products[0][price]": "0",
    }
    assert {name: found[name] for name in ("id", "currency", "visit_id", "call_id", "agent")} == {
        "id": "42",
        "currency": "EUR",
        "visit_id": "v1",
        "call_id": "7",
        "agent": "bob",
    }
    assert repairs(event, NAMED) == set()


def test_an_emptied_cart_that_is_sent_needs_the_same_repairs_as_another() -> None:
    assert repairs(cart(products=None, currency="eur", is_logged_in="Y"), NAMED) == {"products", "currency", "boolean"}
    assert repairs(cart(products=None, currency="?", is_logged_in="Y"), NAMED) == {"products"}
