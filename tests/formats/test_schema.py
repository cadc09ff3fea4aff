"""The JSON Schema accepts what strict reading accepts, and nothing else."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.formats.events import (
    ABSENT,
    PLAIN,
    cart,
    cases,
    checked_out,
    envelope,
    order,
    product,
    shop_cart,
    shop_product,
    value,
    vectors,
)
from tests.formats.test_hostile import places
from worker.core.event import Event
from worker.formats import read, schema

VALIDATOR = Draft202012Validator(schema())
STRICT = replace(PLAIN, strict=True)


def is_strict(event: Any) -> bool:
    found = read(value(event), STRICT)
    return isinstance(found, Event) and not found.repairs


def agree(event: Any) -> bool:
    """Whether both say the same of an event that has nothing a schema can't see."""
    accepted: bool = VALIDATOR.is_valid(event)
    assert accepted == is_strict(event), f"schema: {accepted}, reading: {read(value(event), STRICT)}"
    return accepted


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()
    kinds = [choice["$ref"].rpartition("/")[2] for choice in schema()["anyOf"]]
    assert kinds == ["Cart", "Order", "CsCartCart", "CsCartOrder"]


@pytest.mark.parametrize("event", [cart(), order(), envelope(), checked_out(), cart(products=[])], ids=range(5))
def test_plain_events_are_accepted_by_both(event: Any) -> None:
    assert agree(event)


RECORDS = [vector.value for vector in vectors()] + [case.value for case in cases()]
TREES = [json.loads(record) for record in RECORDS if record.startswith(b"{") and record.isascii()]


@pytest.mark.parametrize("tree", TREES, ids=range(len(TREES)))
def test_vectors_and_cases_are_judged_alike(tree: Any) -> None:
    if not is_beyond_a_schema(tree):
        agree(tree)


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    0.5,
    1.5,
    900,
    10**22,
    "",
    " ",
    "0",
    "1",
    "00",
    "x",
    "900",
    "12.50",
]
VALUES += [".5", "12.", "+1", " 1", "1 ", "1\n", "1e2", "1e-2", "1E+05", "1e400", "-0", "-1.5", "0.0", "2.00", "12,50"]
VALUES += ["EUR", "eur", "EUR\n", "null", "undefined", " null ", "optico", "cs-cart", "cart", "order", "Y", "N", "yes"]
VALUES += ["\u00e9", "\u0661", "\t", "0" * 400, "9" * 308, "9" * 309, "0.12345678901234", "0.123456789012345"]
VALUES += [[], {}, [None], [0], [[]], {"a": 1}, {"": None}, {"option_name": "a", "value": 1}]
VALUES += [
    [{"option_name": "a", "value": 1}],
    [{"option_name": "", "option_id": 3}],
    {"3": "12"},
    {"5": {"option_name": 7}},
]
VALUES += [product(), [product()], shop_product(), [shop_product()], {"a": shop_product()}, {"order_id": "5"}]
NAMES = [
    "source",
    "type",
    "id",
    "cart_id",
    "currency",
    "visit_id",
    "products",
    "status",
    "is_logged_in",
    "call_id",
    "agent",
]
NAMES += [
    "occurred_at",
    "cart",
    "user_id",
    "order_id",
    "user_data",
    "is_parent_order",
    "product_id",
    "product",
    "amount",
]
NAMES += ["name", "quantity", "price", "details", "options", "product_options", "extra", "option_name", "variant_name"]
NAMES += ["value", "subtotal", "unknown", "specversion", "data", "schema", "payload", "op", "before"]
BASES = [*TREES, envelope(cart=shop_cart(products={"1": shop_product(extra={"product_options": VALUES[-6]})}))]
BASES += [checked_out(products=[shop_product(options=[], product_options=[{"option_name": "a", "value": "b"}])])]


@st.composite
def changed(draw: st.DrawFn) -> Any:
    event = {"": json.loads(json.dumps(draw(st.sampled_from(BASES))))}
    for _ in range(draw(st.integers(0, 3))):
        container, key = draw(st.sampled_from(places(event)))
        inner = container[key]
        if isinstance(inner, dict) and draw(st.booleans()):
            inner[draw(st.sampled_from(NAMES))] = json.loads(json.dumps(draw(st.sampled_from(VALUES))))
        elif draw(st.booleans()) and container is not event:
            del container[key]
        else:
            container[key] = json.loads(json.dumps(draw(st.sampled_from(VALUES))))
    return event[""]


@settings(max_examples=500, deadline=None)
@given(changed())
def test_the_schema_accepts_exactly_what_strict_reading_accepts(event: Any) -> None:
    assume(not is_beyond_a_schema(event))
    agree(event)


def test_changed_events_are_of_both_kinds() -> None:
    judged: list[bool] = []

    @settings(max_examples=200, deadline=None, database=None)
    @given(changed())
    def judge(event: Any) -> None:
        judged.append(is_strict(event))

    judge()
    assert 20 < sum(judged) < len(judged) - 20


def is_beyond_a_schema(tree: Any) -> bool:
    """Whether an event has something that a JSON Schema can't see: the docstring of `json_schema` lists it."""
    if "\\ud83c" in json.dumps(tree):
        return True
    return any(_is_odd_number(each) or _is_deep(each) for each in _every(tree)) or _has_twice_a_name(tree)


def _every(tree: Any) -> list[Any]:
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [tree, *(inner for child in children for inner in _every(child))]


def _is_odd_number(item: Any) -> bool:
    """A whole number with a point, or one of more than 14 digits that is no integer."""
    if isinstance(item, float):
        return item.is_integer() or len(re.sub("[^0-9]|e.*", "", repr(item)).lstrip("0")) > 14
    return isinstance(item, int) and abs(item) >= 10**308


def _is_deep(item: Any) -> bool:
    depth, level = 0, [item]
    while any(isinstance(each, dict | list) for each in level):
        depth += 1
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return depth > 30


def _has_twice_a_name(tree: Any) -> bool:
    for each in _every(tree):
        entries = list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else []
        names = [str(entry["option_name"]) for entry in entries if isinstance(entry, dict) and "option_name" in entry]
        if len(names) != len(set(names)):
            return True
    return False


@pytest.mark.parametrize(
    "event",
    [
        cart(currency="eur"),
        cart(visit_id=None),
        cart(visit_id="null"),
        cart(products=[], currency=ABSENT),
        cart(is_logged_in="Y"),
        cart(call_id=0),
        cart(call_id="1\n"),
        cart(products=[product(price=None)]),
        cart(products=[product(price="12.")]),
        cart(products=[product(quantity=0.5)]),
        cart(products=[product(id="")]),
        cart(products=[None]),
        order(products=[]),
        order(status=5),
        checked_out(is_parent_order="Y", products=[]),
        checked_out(user_id="0"),
        envelope(cart=shop_cart(products=[shop_product(options=False)])),
        envelope(cart=shop_cart(products=[shop_product(options={"3": "12"})])),
        {"specversion": "1.0", "data": cart()},
    ],
    ids=lambda event: json.dumps(event)[:60],
)
def test_what_needs_a_repair_or_is_skipped_is_not_as_it_should_be(event: Any) -> None:
    assert not agree(event)
