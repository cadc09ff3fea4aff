"""The quick way never says anything that the long way would not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import NO_DEFAULTS, cart, order, product, value, vectors
from tests.formats.test_hostile import DEFAULTS, flipped, mutated
from worker.core.event import Defaults, Event
from worker.formats import quick, thorough

BOTH_DEFAULTS = st.sampled_from([NO_DEFAULTS, DEFAULTS])
WHOLE = cart(
    source="optico",
    call_id=27,
    agent="Ada",
    occurred_at="2026-01-01T00:00:00Z",
    products=[product(details={"colour": "blue", "size": 1.5, "gift": True, "note": None}), product(details="x")],
)
USUAL = {
    "a cart": cart(),
    "a cart with all that a cart can have": WHOLE,
    "an order": order(),
    "integers as ids": cart(id=7),
    "time as seconds": cart(occurred_at=1764000000.5),
    "no product": cart(products=[]),
    "not only ASCII": cart(agent="Zoé", visit_id="\N{SNOWMAN}"),
}
#: Spellings that parsers are known to differ in.
SPELLINGS = ['"x":1,', '"id":"",', '"id":2,', '"type":"order",', '"type":"cart",', '"currency":null,', '"agent":{},']
SPELLINGS += ["-0", "01", "1.", ".5", "1e400", "1E+2", "2.0", "9" * 20, "9" * 400, "NaN", "Infinity", "\ufeff", "\x00"]
SPELLINGS += ["\\ud800", "\\ud83d\\ude00", "\\x", "\\/", '"', "\\", "[", "]", "{", "}", ",", ":", " ", "\n", "'", "//"]


def agrees(record: bytes, defaults: Defaults) -> bool:
    """Whether the quick way had something to say. If so, it is what the long way says."""
    said = quick.decode(record, defaults)
    if said is None:
        return False
    expected = thorough(record, defaults)
    assert (type(said), said) == (type(expected), expected)
    return True


@pytest.mark.parametrize("event", USUAL.values(), ids=USUAL)
def test_usual_events_go_the_quick_way(event: dict[str, Any]) -> None:
    assert agrees(value(event), NO_DEFAULTS)
    assert agrees(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(), NO_DEFAULTS)


def test_a_missing_currency_is_the_default_one_if_there_is_one() -> None:
    event = value(cart(currency=None))
    assert agrees(event, DEFAULTS)
    assert not agrees(event, NO_DEFAULTS)


@pytest.mark.parametrize("wrong", ["eur", "EU", "EURO", "EU\n", "É12", "ÄÖÜ", "E R"])
def test_a_wrong_currency_is_left_to_the_long_way(wrong: str) -> None:
    assert not agrees(value(cart(currency=wrong)), DEFAULTS)


def test_the_vectors_are_read_alike_both_ways() -> None:
    assert sum(agrees(vector.value, NO_DEFAULTS) for vector in vectors()) > 5


@settings(max_examples=1500, deadline=None)
@given(record=st.one_of(mutated(), flipped()), defaults=BOTH_DEFAULTS)
def test_both_ways_agree_about_changed_vectors(record: bytes, defaults: Defaults) -> None:
    agrees(record, defaults)


@settings(max_examples=1500, deadline=None)
@given(
    event=st.sampled_from(list(USUAL.values())),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from(SPELLINGS)), max_size=2),
    defaults=BOTH_DEFAULTS,
)
def test_both_ways_agree_about_odd_spellings(
    event: dict[str, Any], changes: list[tuple[int, int, str]], defaults: Defaults
) -> None:
    record = json.dumps(event, ensure_ascii=False)
    for place, instead, spelling in changes:
        record = record[:place] + spelling + record[place + instead :]
    agrees(record.encode(), defaults)


@pytest.mark.parametrize("name", ["id", "type", "currency", "visit_id", "is_logged_in", "products"])
@pytest.mark.parametrize("first", ['""', "null", "2", '"order"', "[]", '"EUR"', '"v"'])
def test_of_a_name_that_comes_twice_both_ways_take_the_last(name: str, first: str) -> None:
    text = value(cart()).decode()
    for record in (f'{{"{name}": {first}, {text[1:]}', f'{text[:-1]}, "{name}": {first}}}'):
        agrees(record.encode(), DEFAULTS)
        assert isinstance(thorough(text.encode(), DEFAULTS), Event)


@pytest.mark.parametrize("digits", [18, 19, 20, 39, 308, 309, 400, 4300, 4301, 10_000])
@pytest.mark.parametrize("field", ["id", "call_id", "occurred_at", "quantity", "price", "product"])
def test_integers_of_any_length_are_no_matter_of_opinion(digits: int, field: str) -> None:
    for sign in ("", "-"):
        own = {"quantity": product(quantity=0), "price": product(price=0), "product": product(id=0)}
        event = cart(products=[own[field]]) if field in own else cart(**{field: 0})
        name = "id" if field == "product" else field
        record = value(event).decode().replace(f'"{name}": 0', f'"{name}": {sign}{"1" * digits}').encode()
        assert b"1" * digits in record
        agrees(record, NO_DEFAULTS)
