"""Large carts and orders are cut visibly, no more than needed, and keep their sum."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.events import (
    PLAIN,
    cart,
    encoded,
    envelope,
    form,
    order,
    outcome,
    product,
    repairs,
    shop_cart,
    shop_product,
    value,
)
from worker.core.event import Event, Invalid
from worker.formats import Form, Limits, ReadConfig, encode, read
from worker.formats import form as form_of
from worker.formats.model import Content, Product
from worker.formats.number import of_decimal

KEY = "k" * 33
NO_LIMIT = 0
SUFFICES = ReadConfig(limits=Limits(NO_LIMIT, NO_LIMIT))
_KEPT = ("amount", "unit_price")


def limited(fields: int, body_bytes: int = NO_LIMIT) -> ReadConfig:
    return ReadConfig(limits=Limits(fields, body_bytes, len(KEY)))


def is_within(limits: Limits, body: Form) -> bool:
    return (not limits.fields or body.fields <= limits.fields) and (
        not limits.body_bytes or len(body.body) <= limits.body_bytes
    )


def whole(event: Any) -> Form:
    """The request as it would be without limits."""
    return encode(value(event), SUFFICES, KEY)


def lines_of(body: Form) -> list[dict[str, str]]:
    """The products, each as the names after its place and their values."""
    lines: dict[str, dict[str, str]] = {}
    for name, item in body.pairs():
        if name.startswith("products["):
            at, _, rest = name.removeprefix("products[").partition("]")
            lines.setdefault(at, {})[rest] = item
    assert list(lines) == [str(at) for at in range(len(lines))]
    return list(lines.values())


def total(lines: list[dict[str, str]]) -> Decimal:
    return sum((Decimal(line["[quantity]"]) * Decimal(line["[price]"]) for line in lines), Decimal(0))


def is_rest(line: dict[str, str]) -> bool:
    return line["[id]"] == "n/a" and line["[name]"].startswith("+")


PRICES = st.one_of(
    st.integers(-1000, 10**6),
    st.decimals(-100, 10**5, places=2, allow_nan=False).map(float),
    st.sampled_from(["19.99", "0.1", 1e16, "1e-3", 10**20, 0.05, "12,50", None]),
)
QUANTITIES = st.one_of(st.integers(-3, 50), st.sampled_from([0.5, "1.25", 2.0, 10**6, "x"]))
TEXTS = st.text("aé& ", min_size=1, max_size=60)
DETAILS = st.one_of(
    st.none(),
    TEXTS,
    st.dictionaries(
        st.text("abcé]", max_size=6), st.one_of(TEXTS, st.integers(), st.none(), st.booleans()), max_size=8
    ),
    st.lists(st.integers(0, 9), max_size=40),
    st.dictionaries(st.text("ab", max_size=3), st.lists(TEXTS, max_size=4), max_size=3),
    st.fixed_dictionaries({"amount": st.just("0.5"), "unit_price": st.just("3"), "more": TEXTS}),
)
LINES = st.lists(
    st.builds(product, id=st.integers(0, 99), name=TEXTS, quantity=QUANTITIES, price=PRICES, details=DETAILS),
    min_size=1,
    max_size=30,
)
CARTS = st.builds(cart, products=LINES)


@st.composite
def carts_and_limits(draw: st.DrawFn) -> tuple[dict[str, Any], Limits]:
    """A cart, and limits somewhere between nothing and what it needs."""
    event = draw(CARTS)
    body = whole(event)
    fields = draw(st.one_of(st.just(NO_LIMIT), st.integers(6, body.fields + 3)))
    size = draw(st.one_of(st.just(NO_LIMIT), st.integers(150, len(body.body) + 50)))
    return event, Limits(fields, size, len(KEY))


@settings(max_examples=100, deadline=None)
@given(carts_and_limits())
def test_a_cart_is_cut_to_the_limits_and_no_more_than_needed(example: tuple[dict[str, Any], Limits]) -> None:
    event, limits = example
    config = ReadConfig(limits=limits)
    before = whole(event)
    found = read(value(event), config)
    if is_within(limits, before):
        assert isinstance(found, Event)
        assert "too_large" not in found.repairs
        assert encode(value(event), config, KEY) == before
        return
    if isinstance(found, Invalid):
        assert found.reason == "payload_too_large"
        assert not is_within(limits, _only_rest(event))
        return
    assert isinstance(found, Event)
    assert "too_large" in found.repairs
    after = encode(value(event), config, KEY)
    assert is_within(limits, after)
    _head_stays(before, after)
    _lines_are_a_prefix(lines_of(before), lines_of(after))
    assert lines_of(after) == lines_of(_by_the_book(event, limits))


def _only_rest(event: dict[str, Any]) -> Form:
    lines = lines_of(whole(event))
    rest = product(id="n/a", name=f"+{len(lines)}", quantity=1, price=str(_rounded(total(lines))))
    return whole(event | {"products": [rest]})


def _rounded(number: Decimal) -> Decimal:
    return Decimal(of_decimal(number))


def _head_stays(before: Form, after: Form) -> None:
    """The key first, all scalars as they were, and before all products."""
    names = [name for name, _ in after.pairs()]
    first = names.index("products[0][id]")
    assert names[0] == "key"
    assert all(name.startswith("products[") for name in names[first:])
    assert after.pairs()[:first] == before.pairs()[:first]
    assert after.path == before.path


def _lines_are_a_prefix(before: list[dict[str, str]], after: list[dict[str, str]]) -> None:
    """What is kept are the first lines; the others' sum and number are told by one line."""
    kept = after
    if len(after) < len(before) or is_rest(after[-1]):
        *kept, rest = after
        gone = before[len(kept) :]
        assert rest["[name]"] == f"+{len(gone)}"
        assert rest == {"[id]": "n/a", "[name]": f"+{len(gone)}", "[quantity]": "1", "[price]": rest["[price]"]}
        assert Decimal(rest["[price]"]) == _rounded(total(gone))
        # Lines go only when no details are left.
        assert all(set(line) == {"[id]", "[name]", "[quantity]", "[price]"} for line in kept)
    for old, new in zip(before, kept, strict=False):
        assert {name: new[name] for name in ("[id]", "[name]", "[quantity]", "[price]")} == {
            name: old[name] for name in ("[id]", "[name]", "[quantity]", "[price]")
        }
        _details_are_whole_or_an_ellipsis(old, new)


def _details_are_whole_or_an_ellipsis(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = ({name: item for name, item in line.items() if "details" in name} for line in (old, new))
    kept = {f"[details][{name}]": before[f"[details][{name}]"] for name in _KEPT if f"[details][{name}]" in before}
    if len(kept) < len(_KEPT):
        kept = {}
    assert after in (before, {"[details]": "…"}, {**kept, "[details][text]": "…"}, kept, {})


def _by_the_book(event: dict[str, Any], limits: Limits) -> Form:
    """The request step by step as the contract cuts it, encoded anew after each step."""
    found = read(value(event), SUFFICES)
    assert isinstance(found, Event)
    content: Content = found.content
    for shorter in (_to_ellipsis, _to_kept, lambda _: None):
        for at in reversed(range(len(content.products))):
            if is_within(limits, form_of.encode(content, KEY)):
                return form_of.encode(content, KEY)
            _shorten(content, at, shorter, limits)
    whole_lines = content.products
    for kept in reversed(range(len(whole_lines))):
        if is_within(limits, form_of.encode(content, KEY)):
            break
        sum_of_others = sum(
            (Decimal(str(each.quantity)) * Decimal(str(each.price)) for each in whole_lines[kept:]), Decimal(0)
        )
        rest = Product("n/a", f"+{len(whole_lines) - kept}", 1, of_decimal(sum_of_others))
        content.products = [*whole_lines[:kept], rest]
    return form_of.encode(content, KEY)


def _shorten(content: Content, at: int, shorter: Callable[[Any], Any], limits: Limits) -> None:
    """One step, if it helps where the request is too large."""
    before, line = form_of.encode(content, KEY), content.products[at]
    if line.details:
        content.products[at] = Product(line.id, line.name, line.quantity, line.price, shorter(line.details))
    after = form_of.encode(content, KEY)
    fewer = limits.fields and before.fields > limits.fields and after.fields < before.fields
    shorter_body = limits.body_bytes and len(before.body) > limits.body_bytes and len(after.body) < len(before.body)
    if not (fewer or shorter_body):
        content.products[at] = line


def _to_ellipsis(details: Any) -> Any:
    kept = _to_kept(details)
    if kept is None:
        return "…"
    return details if len(kept) == len(details) else {**kept, "text": "…"}


def _to_kept(details: Any) -> Any:
    if not (isinstance(details, dict) and all(name in details for name in _KEPT)):
        return None
    return {name: details[name] for name in _KEPT}


#: Shapes of which a byte of the record becomes most fields, or most bytes.
DENSE: dict[str, Any] = {
    "a flat list": cart(products=[product(details=[1] * 2000)]),
    "lists in a list": cart(products=[product(details=[[1, 1]] * 700)]),
    "one list in a list": cart(products=[product(details=[[1] * 1500])]),
    "short keys": cart(products=[product(details={f"{at:x}": 1 for at in range(1200)})]),
    "empty texts": cart(products=[product(details=[""] * 1500)]),
    "numbers with all their zeros": cart(products=[product(details=[1e308] * 700)]),
    "a long name over many values": cart(products=[product(details={"k" * 600: [1] * 300})]),
    "a long name beside others": cart(products=[product(details={"k" * 600: [1], "a": [1] * 300})]),
    "escapes": cart(products=[product(name="&" * 900, details="/" * 900)]),
    "lines with nothing": cart(products=[{}] * 800),
    "lines with nothing, CS-Cart": envelope(cart=shop_cart(products=[{}] * 800)),
    "options without names": envelope(cart=shop_cart(products=[shop_product(options=[1] * 1500)])),
    "options as a map": envelope(cart=shop_cart(products=[shop_product(options={str(at): 1 for at in range(900)})])),
    "options in an option": envelope(
        cart=shop_cart(products=[shop_product(options=[{"option_name": "n" * 50, "value": [1] * 900}])])
    ),
    "fractions": order(products=[product(quantity=0.5)] * 60),
    "plain lines": order(products=[product()] * 60),
}


@pytest.mark.parametrize("event", DENSE.values(), ids=DENSE)
@pytest.mark.parametrize("spaces", [True, False])
def test_no_shape_of_a_record_slips_past_the_limits(event: Any, spaces: bool) -> None:
    record = value(event) if spaces else json.dumps(event, separators=(",", ":")).encode()
    body = encode(record, SUFFICES, KEY)
    for limits in (Limits(body.fields - 1, NO_LIMIT, len(KEY)), Limits(NO_LIMIT, len(body.body) - 1, len(KEY))):
        config = ReadConfig(limits=limits)
        found = read(record, config)
        assert isinstance(found, Event)
        assert "too_large" in found.repairs
        assert is_within(limits, encode(record, config, KEY))
    exact = ReadConfig(limits=Limits(body.fields, len(body.body), len(KEY)))
    assert encode(record, exact, KEY) == body


def test_details_go_from_the_last_line_backwards_then_lines() -> None:
    lines = [product(id=at, name=f"P{at}", quantity=at + 1, price=1.5, details={"a": 1, "b": 2}) for at in range(4)]
    event = order(products=lines)

    def cut(fields: int) -> list[str]:
        found = lines_of(encoded(event, limited(fields), KEY))
        return [
            line["[name]"] + "".join(sorted(name[10:-1] or "…" for name in line if "details" in name)) for line in found
        ]

    assert encoded(event, limited(30), KEY).fields == 30
    assert cut(30) == ["P0ab", "P1ab", "P2ab", "P3ab"]
    assert cut(29) == ["P0ab", "P1ab", "P2ab", "P3…"]
    assert cut(26) == ["P0…", "P1…", "P2…", "P3…"]
    assert cut(24) == ["P0…", "P1…", "P2", "P3"]
    assert cut(22) == ["P0", "P1", "P2", "P3"]
    assert cut(21) == ["P0", "P1", "+2"]
    assert cut(17) == ["P0", "+3"]
    assert cut(10) == ["+4"]
    assert form(event, limited(10))["products[0][price]"] == "15"
    assert repairs(event, limited(10)) == {"too_large"}


def test_amount_and_unit_price_stay_longest() -> None:
    lines = [product(quantity=0.5, price=3.2, details={"a": 1, "b": 2}) for _ in range(2)]
    event = cart(products=lines)

    def left(fields: int) -> list[set[str]]:
        found = lines_of(encoded(event, limited(fields), KEY))
        return [{name[10:-1] for name in line if "details" in name} for line in found]

    whole_one, cut_one, kept_one = {"amount", "unit_price", "a", "b"}, {"amount", "unit_price", "text"}, set(_KEPT)
    assert left(21) == [whole_one, whole_one]
    assert left(20) == [whole_one, cut_one]
    assert left(19) == [cut_one, cut_one]
    assert left(18) == [cut_one, kept_one]
    assert left(17) == [kept_one, kept_one]
    assert left(16) == [kept_one, set()]
    assert left(13) == [set(), set()]


@pytest.mark.parametrize("build", [cart, order])
def test_what_does_not_fit_even_without_its_lines_is_rejected(build: Any) -> None:
    for event, config in [
        (build(id="x" * 2000), limited(NO_LIMIT, 1000)),
        (build(agent="x" * 2000), limited(NO_LIMIT, 1000)),
        (build(), limited(8)),
    ]:
        found = outcome(event, config)
        assert isinstance(found, Invalid)
        assert (found.reason, found.kind, found.path) == ("payload_too_large", event["type"], "")
        assert found.id == event["id"]
        assert "x" not in found.problem.replace("xt", "")
    assert isinstance(outcome(build(), limited(10)), Event)


def test_one_line_with_a_long_name_is_cut_to_its_sum() -> None:
    event = cart(products=[product(name="é" * 10_000, quantity=3, price="0.1")])
    assert lines_of(encoded(event, limited(NO_LIMIT, 1000), KEY)) == [
        {"[id]": "n/a", "[name]": "+1", "[quantity]": "1", "[price]": "0.3"}
    ]


def test_the_sum_is_exact_where_binary_arithmetic_is_not() -> None:
    event = order(products=[product(quantity=1, price=0.1)] * 3000)
    *_, rest = lines_of(encoded(event, limited(14), KEY))
    assert (rest["[name]"], rest["[price]"]) == ("+2999", "299.9")
    event = order(products=[product(price="12345678901234567890")] * 3000)
    assert form(event, limited(10))["products[0][price]"] == str(3000 * 2 * 12345678901234567890)


def test_the_defaults_are_those_of_php_and_nginx() -> None:
    found = encoded(cart(products=[product()] * 400), PLAIN, KEY)
    assert found.fields <= 1000 < whole(cart(products=[product()] * 400)).fields
    assert lines_of(found)[-1]["[name]"] == f"+{400 - len(lines_of(found)) + 1}"
    found = encoded(cart(products=[product(details="x" * 2_000_000)]), PLAIN, KEY)
    assert lines_of(found)[0]["[details]"] == "…"


def test_a_longer_key_leaves_less_room() -> None:
    event = cart(products=[product(name="x" * 100, details="y" * 100)] * 5)
    body = encode(value(event), SUFFICES, "k")
    short = ReadConfig(limits=Limits(NO_LIMIT, len(body.body), key_bytes=1))
    long = ReadConfig(limits=Limits(NO_LIMIT, len(body.body), key_bytes=2))
    assert repairs(event, short) == set()
    assert repairs(event, long) == {"too_large"}
    assert len(encode(value(event), long, "kk").body) <= len(body.body)


class Counted:
    """Counts the characters that are encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.characters = 0
        line = form_of.line

        def counted(at: int, one: Product) -> str:
            encoded_line = line(at, one)
            self.characters += len(encoded_line)
            return encoded_line

        monkeypatch.setattr(form_of, "line", counted)


@pytest.mark.parametrize(
    "event",
    [
        cart(products=[product(name="P" * 60, details={"a": 1})] * 5_000),
        cart(products=[product(name="P" * 60_000)] * 1_000),
        cart(products=[product(details="x" * 60_000)] * 1_000),
        cart(products=[product(details="x" * 60_000_000)]),
        cart(products=[product(details={"k" * 40_000: ["v"] * 40_000})]),
        cart(products=[product(details=[1e308] * 20_000)]),
    ],
    ids=["5,000 lines", "long names", "long details", "60 MB of details", "a long name over many values", "zeros"],
)
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(NO_LIMIT, 1_000_000), Limits(1000, NO_LIMIT)], ids=["both", "bytes", "fields"]
)
def test_what_is_encoded_is_bounded_by_the_limits_and_not_by_the_record(
    event: Any, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = value(event)
    counted = Counted(monkeypatch)
    found = read(record, ReadConfig(limits=limits))
    assert isinstance(found, Event)
    assert "too_large" in found.repairs
    assert counted.characters <= len(record) + 10 * (limits.body_bytes or 16 * 1024 * 1024)
