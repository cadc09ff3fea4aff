"""Whatever the bytes: no exception, no value of the record in a message, no field that the API doesn't know."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import PLAIN, Vector, cart, cases, envelope, form, product, value, vectors
from tests.formats.judged import check
from worker.core.event import Event, Invalid
from worker.formats import Limits, ReadConfig

DEFAULTS = ReadConfig(
    default_currency="EUR",
    default_order_status="Open",
    order_statuses={"P": "Processed"},
    emptied_cart_name="Emptied",
    cs_cart_id_fields=("user_id", "company_id"),
    id_prefix="fr-",
)
SMALL = ReadConfig(limits=Limits(14, 700))
STRICT = ReadConfig(strict=True)
CONFIGS = [PLAIN, DEFAULTS, SMALL, STRICT]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b" ",
        b"{",
        b"null null",
        b"\xff",
        b"NaN",
        b"-Infinity",
        b"[" * 2000,
        b'{"a":' * 100_000,
        b"[" * 5_000_000 + b"]" * 5_000_000,
        value(cart()).decode().encode("utf-16"),
        value(cart()).decode().encode("utf-32"),
        value(cart()) + b"\0",
        value(cart()).replace(b"29.99", b"01"),
        value(cart()).replace(b'"', b"'"),
    ],
    ids=lambda record: repr(record[:12]),
)
def test_what_is_not_json_is_malformed(record: bytes) -> None:
    outcome, _ = check(record, PLAIN)
    assert isinstance(outcome, Invalid)
    assert (outcome.reason, outcome.kind, outcome.path) == ("malformed_json", "unknown", "")


@pytest.mark.parametrize(
    "record",
    [
        b"[" * 900 + b"]" * 900,
        b'{"id":12345678901234567890123,"a":' + b"[" * 900 + b"]" * 900 + b"}",
        value(cart(id="x" * 10_000_000)),
        value(cart(products=[{}] * 50_000)),
        value(cart(products=[product(price=None)] * 50_000)),
        value(cart(products=[product(price="9" * 5_000_000)])),
        value(cart(products=[product(details=[[1]] * 100_000)])),
        value(cart(products=[product(details=[1, *[[]] * 100_000])])),
        value(cart(call_id="9" * 5_000_000, occurred_at="9" * 5_000_000)),
        value(envelope(cart={"order_id": "0" * 5_000_000, "user_id": "9" * 5_000})),
        value("x" * 5_000_000),
        value({"specversion": "1.0", "data_base64": "A" * 5_000_000}),
        b"\xff" * 5_000_000,
        b'{"' + b"\xff" * 2_000_000 + b'": }',
    ],
    ids=range(14),
)
def test_large_and_deep_records_are_judged_like_others(record: bytes) -> None:
    check(record, PLAIN)


@pytest.mark.parametrize("number", [10**22 + 1, -(10**22) - 1])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", ":\t")])
def test_integers_beyond_64_bits_are_exact_however_the_record_is_laid_out(
    number: int, separators: tuple[str, str]
) -> None:
    for event in cart(id=number), cart(products=[product(price=number)]), cart(products=[product(details=[1, number])]):
        record = json.dumps(event, separators=separators).encode()
        assert f"{number}" in form(record).values()
        assert f"{number}" in form(record.replace(b'"v1"', b'"v1","x":"\\ud800"')).values()


VALUES = [vector.value for vector in vectors()] + [case.value for case in cases()]
TREES = [record for record in VALUES if record.startswith(b"{") and record.isascii()]
ODD: list[Any] = ["", "0", 0, 1.0, -1, 2**70, 1e22, "1e999", "-0", "3", "2.0", "optico", "cs-cart", "cart", "order"]
ODD += [0.5, "12,50", "Y", 900.0, "null", " eur ", "\ud83c", "payload", {"schema": 1, "payload": None}]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(ODD),
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
    event = {"": json.loads(draw(st.sampled_from(TREES)))}
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(event)))
        match draw(st.sampled_from(["replace", "remove", "copy", "wrap"])):
            case "replace":
                container[key] = copy.deepcopy(draw(JUNK))  # a later step may change what is in it
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


@settings(max_examples=500, deadline=None)
@given(record=st.one_of(mutated(), flipped(), st.binary(max_size=50)), config=st.sampled_from(CONFIGS))
def test_no_record_raises_or_smuggles_a_field(record: bytes, config: ReadConfig) -> None:
    check(record, config)


SECRET = "s3cr3t-VALUE"


@settings(max_examples=500, deadline=None)
@given(record=mutated(), places_of_it=st.lists(st.integers(0, 2000), min_size=1, max_size=3))
def test_no_message_holds_a_value_of_the_record(record: bytes, places_of_it: list[int]) -> None:
    for place in places_of_it:
        event = {"": json.loads(record)}
        every = [(node, key) for node, key in places(event) if not isinstance(node[key], dict | list)]
        node, key = every[place % len(every)] if every else (event, "")
        node[key] = SECRET
        for config in (PLAIN, STRICT):
            outcome, _ = check(json.dumps(event[""]).encode(), config)
            if isinstance(outcome, Invalid):
                assert SECRET not in outcome.message
            else:
                assert SECRET not in "".join(outcome.repairs.values())


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_the_check_itself_sees_the_vectors_as_valid(vector: Vector) -> None:
    outcome, _ = check(vector.value, PLAIN)
    assert isinstance(outcome, Event)


def test_numbers_that_one_parser_is_slow_at_hold_nobody_up() -> None:
    """msgspec takes 50 µs for each `1e308`: a record of a megabyte would stop the poll loop for ten seconds."""
    record = value(cart(products=[product(details=[0])])).replace(b"[0]", b"[" + b"1e308," * 50_000 + b"0]")
    started = time.process_time()
    check(record, ReadConfig())
    assert time.process_time() - started < 5  # it was 20
