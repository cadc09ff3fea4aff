"""The form body, held against the test vectors and against PHP's own `http_build_query`."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import NO_DEFAULTS, Vector, cart, decoded, order, product, value, vectors
from worker.core.event import Event
from worker.formats import TooLargeError, decode, encode, native, number, pairs

PHP = (
    r"""while (($line = fgets(STDIN)) !== false) { echo http_build_query(json_decode($line, true), '', '&'), "\n"; }"""
)

Pairs = list[tuple[str, str]]


def parsed(body: bytes) -> Pairs:
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_the_vectors_give_their_requests(vector: Vector) -> None:
    assert isinstance(decode(vector.value, NO_DEFAULTS), Event)
    form = encode(vector.value, NO_DEFAULTS)
    assert form.path == vector.path
    assert sorted(parsed(form.body)) == sorted(vector.form)
    assert pairs(vector.value, NO_DEFAULTS) == (vector.path, parsed(form.body))


def test_long_names_are_encoded_as_short_ones_are() -> None:
    form = encode(value(cart(products=[product(details={"é" * 500: "x"})])), NO_DEFAULTS)
    assert ("products[0][details][" + "é" * 500 + "]", "x") in parsed(form.body)


TEXT = st.text(max_size=8)
KEYS = st.one_of(TEXT, st.sampled_from(["", " ", "0", "00", "-1", "a[b]", "[", "]", "a.b", "a&b=c", "é", "🛒", "\0x"]))
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
DETAILS = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
PRODUCTS = st.lists(
    st.builds(
        product,
        id=st.one_of(TEXT, NUMBERS),
        name=st.text(min_size=1, max_size=8),
        quantity=st.integers(min_value=0),
        price=NUMBERS,
        details=st.one_of(TEXT, st.lists(DETAILS, max_size=4), st.dictionaries(KEYS, DETAILS, max_size=4)),
    ),
    min_size=1,
    max_size=3,
)
OPTIONAL: dict[str, Any] = {"call_id": st.one_of(st.none(), st.integers()), "agent": st.one_of(st.none(), TEXT)}
EVENTS = st.one_of(
    st.builds(cart, products=PRODUCTS, is_logged_in=st.booleans(), visit_id=st.text(min_size=1), **OPTIONAL),
    st.builds(order, products=PRODUCTS, status=st.text(min_size=1), id=st.text(min_size=1), **OPTIONAL),
)


@pytest.fixture(scope="module")
def http_build_query() -> Iterator[Callable[[Any], Pairs]]:
    """PHP's function, out of one process that answers line by line."""
    if shutil.which("php") is None:
        missing = "missing: php (Debian: apt-get install php-cli)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with subprocess.Popen(["php", "-r", PHP], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as php:
        assert php.stdin is not None
        assert php.stdout is not None
        questions, answers = php.stdin, php.stdout

        def ask(parameters: Any) -> Pairs:
            questions.write(json.dumps(parameters).encode() + b"\n")
            questions.flush()
            return parsed(answers.readline().removesuffix(b"\n"))

        yield ask
        questions.close()
        assert php.wait(timeout=10) == 0


def numbers_written(parameters: Any) -> Any:
    """The parameters with each number as our rule writes it: PHP's own precision is a setting of its machine."""
    if isinstance(parameters, dict):
        return {name: numbers_written(item) for name, item in parameters.items()}
    if isinstance(parameters, list):
        return [numbers_written(item) for item in parameters]
    if isinstance(parameters, int | float) and not isinstance(parameters, bool):
        return number.text(parameters)
    return parameters


@settings(max_examples=300, deadline=None)
@given(event=EVENTS)
def test_the_form_is_what_php_builds(http_build_query: Callable[[Any], Pairs], event: dict[str, Any]) -> None:
    assert isinstance(decoded(event), Event)
    _, parameters = native.parameters(json.loads(value(event)), NO_DEFAULTS)
    assert parsed(encode(value(event), NO_DEFAULTS).body) == http_build_query(numbers_written(parameters))


LONG = "k" * 40_000


@pytest.mark.parametrize(
    "details",
    [{LONG: ["v"] * 40_000}, {str(n): {LONG[:4000]: ["v"] * 4000} for n in range(40)}, [1e308] * 100_000],
    ids=["a long name over many values", "many of them", "numbers with all their zeros"],
)
def test_a_form_out_of_all_proportion_to_its_event_is_refused_in_time(details: Any) -> None:
    record = value(cart(products=[product(details=details)]))
    assert isinstance(decode(record, NO_DEFAULTS), Event)
    started = time.process_time()
    with pytest.raises(TooLargeError, match="longer than 16,777,216 characters"):
        encode(record, NO_DEFAULTS)
    assert time.process_time() - started < 10


def test_a_cart_of_megabytes_is_no_such_form() -> None:
    record = value(cart(products=[product(details={"text": "x" * 1000})] * 4000))
    assert len(encode(record, NO_DEFAULTS).body) > len(record)
