"""The form body, held against the test vectors and against PHP's own `http_build_query`."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import Vector, cart, encoded, order, product, repairs, sent, value, vectors
from worker.formats import Limits, ReadConfig, encode, number

NO_LIMITS = ReadConfig(limits=Limits(0, 0))

PHP = (
    r"""while (($line = fgets(STDIN)) !== false) { echo http_build_query(json_decode($line, true), '', '&'), "\n"; }"""
)

Pairs = list[tuple[str, str]]


def parsed(body: bytes) -> Pairs:
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_the_vectors_give_their_requests(vector: Vector) -> None:
    form = encoded(vector.value)
    assert form.path == vector.path
    assert sorted(parsed(form.body)) == sorted([*vector.form, ("key", "k")])
    assert form.pairs() == parsed(form.body)
    assert form.fields == len(vector.form) + 1


def test_the_key_comes_first_and_the_products_last() -> None:
    for event in (cart(call_id=7, agent="bob"), order(call_id=7, agent="bob")):
        names = [name for name, _ in encoded(event, key="k&/é").pairs()]
        first = names.index("products[0][id]")
        assert names[0] == "key"
        assert {"call_id", "agent", "visit_id", "currency"} <= set(names[:first])
        assert all(name.startswith("products[") for name in names[first:])
    assert encoded(cart(), key="k&/é").pairs()[0] == ("key", "k&/é")


def test_only_events_are_encoded() -> None:
    for record in (b"{", value(cart(products=[])), value(cart(id=""))):
        with pytest.raises(ValueError, match="not an event"):
            encode(record, NO_LIMITS, "k")


def test_long_names_are_encoded_as_short_ones_are() -> None:
    form = encoded(cart(products=[product(details={"é" * 500: "x"})]))
    assert ("products[0][details][" + "é" * 500 + "]", "x") in parsed(form.body)


TEXT = st.text(max_size=8)
KEYS = st.one_of(TEXT, st.sampled_from(["", " ", "0", "00", "-1", "a[b]", "[", "]", "a.b", "a&b=c", "é", "🛒", "\0x"]))
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
DETAILS = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
#: At most 14 significant digits: others are rounded, which PHP does by its own setting.
PRICES = st.decimals(-(10**9), 10**9, places=4, allow_nan=False).map(float)
VISITS = st.text(min_size=1).filter(lambda text: text.strip() not in ("", "0", "null", "undefined"))
PRODUCTS = st.lists(
    st.builds(
        product,
        id=st.one_of(st.text(min_size=1, max_size=8), NUMBERS),
        name=st.text(min_size=1, max_size=8),
        quantity=st.integers(-100),
        price=st.one_of(st.integers(-(10**300), 10**300), PRICES),
        details=st.one_of(TEXT, st.lists(DETAILS, max_size=4), st.dictionaries(KEYS, DETAILS, max_size=4)),
    ),
    min_size=1,
    max_size=3,
)
OPTIONAL: dict[str, Any] = {
    "call_id": st.one_of(st.none(), st.integers(1)),
    "agent": st.one_of(st.none(), TEXT),
    "visit_id": VISITS,
}
EVENTS = st.one_of(
    st.builds(cart, products=PRODUCTS, is_logged_in=st.booleans(), **OPTIONAL),
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
    assert sent(event, NO_LIMITS).repairs == {}
    scalars = ("key", "id", "cart_id", "currency", "visit_id", "status", "is_logged_in", "call_id", "agent", "products")
    whole = event | {"key": "k"} | ({"is_logged_in": int(event["is_logged_in"])} if "is_logged_in" in event else {})
    lines = [
        {name: item for name, item in line.items() if name != "details" or item != ""} for line in event["products"]
    ]
    parameters = {name: whole[name] for name in scalars if name in whole and (name != "agent" or whole[name])}
    expected = http_build_query(numbers_written(parameters | {"products": lines}))
    found = encoded(event, NO_LIMITS).pairs()
    # Which scalar follows which is free; PHP's order of the products' own fields is the event's.
    assert sorted(found) == sorted(expected)
    assert [pair for pair in found if pair[0].startswith("products")] == [
        pair for pair in expected if pair[0].startswith("products")
    ]


LONG = "k" * 40_000


@pytest.mark.parametrize(
    "details",
    [{LONG: ["v"] * 40_000}, {str(n): {LONG[:4000]: ["v"] * 4000} for n in range(40)}],
    ids=["a long name over many values", "many of them"],
)
def test_a_form_out_of_all_proportion_to_its_event_is_cut_even_without_limits(details: Any) -> None:
    event = cart(products=[product(details=details)])
    assert repairs(event, NO_LIMITS) == {"too_large"}
    assert ("products[0][details]", "…") in encoded(event, NO_LIMITS).pairs()


def test_a_cart_of_megabytes_is_no_such_form() -> None:
    record = value(cart(products=[product(details={"text": "x" * 1000})] * 4000))
    assert len(encoded(record, NO_LIMITS).body) > len(record)
