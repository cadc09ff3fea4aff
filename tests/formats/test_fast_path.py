"""The fast path never says anything that the full path would not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import (
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
from tests.formats.judged import assert_paths_agree
from tests.formats.test_hostile import CONFIGS, DEFAULTS, flipped, mutated
from worker.core.event import Event
from worker.formats import Limits, ReadConfig, fast_path, full_path

WHOLE = cart(
    source="optico",
    call_id=27,
    agent="Ada",
    occurred_at="2026-01-01T00:00:00Z",
    products=[product(details={"colour": "blue", "size": 1.5, "gift": True, "note": None}), product(details="x")],
)
SIZE = {"option_id": "3", "option_name": "Size", "value": "12", "variant_name": "Large"}
USUAL: dict[str, Any] = {
    "a cart": cart(),
    "a cart with all that a cart can have": WHOLE,
    "an order": order(),
    "integers as ids": cart(id=7),
    "time as seconds": cart(occurred_at=1764000000.5),
    "numbers as texts": cart(products=[product(quantity="3", price="10.50")]),
    "a price of five digits": order(products=[product(price=1.23456)]),
    "a return": order(products=[product(quantity=-2, price=-9.5)]),
    "lists in details": cart(products=[product(details={"a": [1, [2]]})]),
    "a list as details": cart(products=[product(details=[1, 2])]),
    "not only ASCII": cart(agent="Zoé", visit_id="\N{SNOWMAN}"),
    "a CS-Cart cart": envelope(cart=shop_cart(user_data={"user_id": "42"}, products=[shop_product(options=[SIZE])])),
    "a CS-Cart order": checked_out(products={"1": shop_product(product_options=[SIZE], extra={"a": []})}),
    "a CS-Cart cart with an id": envelope(id="c-9", call_id=27, agent="Ada", cart=shop_cart(user_id=None)),
}
#: Spellings that parsers are known to differ in.
SPELLINGS = ['"x":1,', '"id":"",', '"id":2,', '"type":"order",', '"type":"cart",', '"currency":null,', '"agent":{},']
SPELLINGS += ['"source":"cs-cart",', '"source":"optico",', '"cart":{},', '"options":[],', '"extra":{"options":[]},']
SPELLINGS += ["-0", "01", "1.", ".5", "1e400", "1E+2", "2.0", "9" * 20, "9" * 400, "NaN", "Infinity", "\ufeff", "\x00"]
SPELLINGS += ["\\ud800", "\\ud83d\\ude00", "\\x", "\\/", '"', "\\", "[", "]", "{", "}", ",", ":", " ", "\n", "'", "//"]
SPELLINGS += ["null", "true", "false", '""', '"0"', "0", "[]", "{}", "0.5", "14.309999999999999", '"eur"']


@pytest.mark.parametrize("event", USUAL.values(), ids=USUAL)
def test_usual_events_take_the_fast_path(event: dict[str, Any]) -> None:
    assert assert_paths_agree(value(event), PLAIN)
    assert assert_paths_agree(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(), PLAIN)


def test_a_missing_currency_is_the_default_one_if_there_is_one() -> None:
    event = value(cart(currency=None))
    assert assert_paths_agree(event, DEFAULTS)
    assert not assert_paths_agree(event, PLAIN)


@pytest.mark.parametrize("wrong", ["eur", "EU", "EURO", "EU\n", "É12", "ÄÖÜ", "E R"])
def test_a_wrong_currency_is_left_to_the_full_path(wrong: str) -> None:
    assert not assert_paths_agree(value(cart(currency=wrong)), DEFAULTS)


@pytest.mark.parametrize("recorded_at", [-1, 0, 1764000000000, 1763999939000, 1763999941000])
def test_both_paths_agree_about_the_future(recorded_at: int) -> None:
    for event in (cart(occurred_at=1764000000), order(occurred_at="2025-11-24T16:00:00Z")):
        assert_paths_agree(value(event), PLAIN, recorded_at)
    assert not assert_paths_agree(value(cart(occurred_at=1764000000)), PLAIN, 1763999939000)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_vectors_and_cases_are_read_alike_on_both_paths(config: ReadConfig) -> None:
    records = [vector.value for vector in vectors()] + [case.value for case in cases()]
    assert sum(assert_paths_agree(record, config) for record in records) > 5


@settings(max_examples=500, deadline=None)
@given(record=st.one_of(mutated(), flipped()), config=st.sampled_from(CONFIGS))
def test_both_paths_agree_about_changed_records(record: bytes, config: ReadConfig) -> None:
    assert_paths_agree(record, config)


@settings(max_examples=700, deadline=None)
@given(
    event=st.sampled_from(list(USUAL.values())),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from(SPELLINGS)), max_size=2),
    config=st.sampled_from(CONFIGS),
)
def test_both_paths_agree_about_odd_spellings(
    event: dict[str, Any], changes: list[tuple[int, int, str]], config: ReadConfig
) -> None:
    record = json.dumps(event, ensure_ascii=False)
    for place, instead, spelling in changes:
        record = record[:place] + spelling + record[place + instead :]
    assert_paths_agree(record.encode(), config)


@settings(max_examples=300, deadline=None)
@given(
    lines=st.integers(1, 12),
    details=st.recursive(
        st.sampled_from(["", "é" * 9, 1, 1e308, None, True]),
        lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text("k&", max_size=9), inner, max_size=9),
    ),
    fields=st.integers(0, 120),
    body_bytes=st.integers(0, 9000),
)
def test_both_paths_agree_about_what_fits(lines: int, details: Any, fields: int, body_bytes: int) -> None:
    config = ReadConfig(limits=Limits(fields, body_bytes))
    options = [{"option_name": "o", "value": details}]
    for event in (
        cart(products=[product(details=details)] * lines),
        envelope(cart=shop_cart(products=[shop_product(options=options)] * lines)),
    ):
        assert_paths_agree(value(event), config)


@pytest.mark.parametrize("name", ["id", "type", "currency", "visit_id", "is_logged_in", "products", "source", "cart"])
@pytest.mark.parametrize("first", ['""', "null", "2", '"order"', "[]", '"EUR"', '"v"', '"cs-cart"'])
@pytest.mark.parametrize("event", [cart(), envelope()], ids=["native", "CS-Cart"])
def test_of_a_name_that_comes_twice_both_paths_take_the_last(event: dict[str, Any], name: str, first: str) -> None:
    text, config = value(event).decode(), ReadConfig(default_currency="EUR")
    for record in (f'{{"{name}": {first}, {text[1:]}', f'{text[:-1]}, "{name}": {first}}}'):
        assert_paths_agree(record.encode(), config)
        assert isinstance(full_path.read(text.encode(), config, -1), Event)


@pytest.mark.parametrize("digits", [18, 19, 20, 39, 308, 309, 400, 4300, 4301, 10_000])
@pytest.mark.parametrize("field", ["id", "call_id", "occurred_at", "quantity", "price", "product", "details"])
def test_integers_of_any_length_are_no_matter_of_opinion(digits: int, field: str) -> None:
    for sign in ("", "-"):
        own = {"quantity": product(quantity=0), "price": product(price=0), "product": product(id=0)}
        own["details"] = product(details={"details": 0})
        event = cart(products=[own[field]]) if field in own else cart(**{field: 0})
        name = "id" if field == "product" else field
        record = value(event).decode().replace(f'"{name}": 0', f'"{name}": {sign}{"1" * digits}').encode()
        assert b"1" * digits in record
        assert_paths_agree(record, PLAIN)


def test_what_is_sent_at_once_is_what_the_fast_path_makes_of_it() -> None:
    found = fast_path.read(value(cart()), PLAIN, -1)
    assert isinstance(found, Event)
    assert found.repairs == {}
