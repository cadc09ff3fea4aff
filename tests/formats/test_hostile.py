"""Whatever the bytes: no exception, no value of the record in a message, no field that the API doesn't know."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import NO_DEFAULTS, cart, envelope, product, value, vectors
from tests.formats.judged import check
from worker.core.event import Defaults, Event, Invalid, Skipped
from worker.formats import decode, encode, pairs

DEFAULTS = Defaults(currency="EUR", order_status="Open")


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b" ",
        b"{",
        b"null null",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"9" * 5000,
        b"[" * 2000,
        b'{"a":' * 100_000,
        b"[" * 5_000_000 + b"]" * 5_000_000,
        value(cart()).decode().encode("utf-16"),
        value(cart()).decode().encode("utf-32"),
        value(cart()) + b"\0",
        value(cart()).replace(b"29.99", b"1e400"),
        value(cart()).replace(b"29.99", b"01"),
        value(cart()).replace(b'"', b"'"),
    ],
    ids=lambda record: repr(record[:12]),
)
def test_what_is_not_json_is_malformed(record: bytes) -> None:
    outcome = decode(record, NO_DEFAULTS)
    assert outcome == Invalid("malformed_json", "unknown", "", "JSON in UTF-8")


@pytest.mark.parametrize(
    "record",
    [
        b"[" * 1024 + b"]" * 1024,
        b'{"id":12345678901234567890123,"a":' + b"[" * 1023 + b"]" * 1023 + b"}",
        value(cart(id="x" * 10_000_000)),
        value(cart(products=[{}] * 200_000)),
        value(cart(products=[product(price=None)] * 50_000)),
        value(cart(products=[product(price="9" * 5_000_000)])),
        value(cart(products=[product(details=[[1]] * 100_000)])),
        value(cart(products=[product(details=[1, *[[]] * 300_000])])),
        value(cart(call_id="9" * 5_000_000, occurred_at="9" * 5_000_000)),
        value(envelope(cart={"order_id": "0" * 5_000_000, "user_id": "9" * 5_000})),
    ],
    ids=range(10),
)
def test_large_and_deep_records_are_judged_like_others(record: bytes) -> None:
    check(record, NO_DEFAULTS)


@pytest.mark.parametrize("number", [10**22 + 1, -(10**22) - 1])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", ":\t")])
def test_integers_beyond_64_bits_are_exact_however_the_record_is_laid_out(
    number: int, separators: tuple[str, str]
) -> None:
    for event in cart(id=number), cart(products=[product(price=number)]), cart(products=[product(details=[1, number])]):
        record = json.dumps(event, separators=separators).encode()
        assert isinstance(decode(record, NO_DEFAULTS), Event)
        assert f"{number}" in dict(pairs(record, NO_DEFAULTS)[1]).values()


def test_a_record_too_deep_for_exact_integers_is_sent_all_the_same() -> None:
    event = cart(products=[product(price=10**22 + 1)], unknown="deep")
    record = value(event).replace(b'"deep"', b"[" * 1000 + b"]" * 1000)
    assert isinstance(decode(record, NO_DEFAULTS), Event)
    assert b"price%5D=10000000000000000000" in encode(record, NO_DEFAULTS).body


VALUES = [vector.value for vector in vectors()]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["", "0", 0, 1.0, -1, 2**70, 1e22, "1e999", "-0", "3", "2.0", "optico", "cs-cart", "cart", "order"]
    ),
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)


def places(node: Any) -> list[tuple[Any, Any]]:
    """Each container with each of its keys, the whole event's included."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    return [place for key in keys for place in [(node, key), *places(node[key])]]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    event = {"": json.loads(draw(st.sampled_from(VALUES)))}
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(event)))
        match draw(st.sampled_from(["replace", "remove", "copy", "wrap"])):
            case "replace":
                container[key] = draw(JUNK)
            case "remove" if container is not event:
                del container[key]
            case "copy":
                source, source_key = draw(st.sampled_from(places(event)))
                container[key] = copy.deepcopy(source[source_key])
            case _:
                container[key] = draw(st.sampled_from([[container[key]], {"0": container[key]}]))
    return json.dumps(event[""]).encode()


@st.composite
def flipped(draw: st.DrawFn) -> bytes:
    record = bytearray(draw(st.sampled_from(VALUES)))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, len(record) - 1), st.integers(0, 255)), max_size=5)):
        record[place] = byte
    return bytes(record)


@settings(max_examples=1500, deadline=None)
@given(
    record=st.one_of(mutated(), flipped(), st.binary(max_size=50)), defaults=st.sampled_from([NO_DEFAULTS, DEFAULTS])
)
def test_no_record_raises_or_smuggles_a_field(record: bytes, defaults: Defaults) -> None:
    check(record, defaults)


@pytest.mark.parametrize("record", VALUES)
def test_the_check_itself_sees_the_vectors_as_valid(record: bytes) -> None:
    assert not isinstance(decode(record, NO_DEFAULTS), Invalid | Skipped)
    check(record, NO_DEFAULTS)
