"""The number rule: shortest decimal form, no exponent, no trailing `.0`."""

import json
import re
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.formats import number


@pytest.mark.parametrize(
    ("given_number", "written"),
    [
        (0, "0"),
        (-0.0, "0"),
        (30.0, "30"),
        (29.99, "29.99"),
        (1e-5, "0.00001"),
        (1.5e-7, "0.00000015"),
        (1e16, "1" + "0" * 16),
        (1e23, "1" + "0" * 23),
        (-1.25e20, "-125000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (10**22 + 1, "10000000000000000000001"),
    ],
    ids=repr,
)
def test_a_number_is_written_in_shortest_decimal_form(given_number: float, written: str) -> None:
    assert number.text(given_number) == written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_float_reads_as_the_same_float(price: float) -> None:
    written = number.text(price)
    assert float(written) == price
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]*[1-9])?", written)
    assert written != "-0"


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers()))
def test_a_number_is_read_alike_whether_it_came_as_a_string_or_not(price: float) -> None:
    plain, text = number.read(price), number.read(json.dumps(price))
    assert plain is not None
    assert text is not None
    assert plain.text == text.text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_that_is_read_has_at_most_14_significant_digits_and_is_the_nearest_such(price: float) -> None:
    found = number.read(price)
    assert found is not None
    digits = found.text.replace("-", "").replace(".", "").strip("0")
    assert len(digits) <= number.DIGITS
    assert float(found.text) == float(f"{price:.13e}")
    assert found.repaired == (Decimal(found.text) != Decimal(repr(price)))


@given(st.decimals(-(10**12), 10**12, places=2), st.decimals(0, 10**4, places=3))
def test_a_product_is_exact_and_rounded_once(price: Decimal, quantity: Decimal) -> None:
    exact = price * quantity
    found = Decimal(number.product(str(quantity), str(price)))
    assert found == (exact if exact == exact.to_integral_value() else Context(prec=number.DIGITS).plus(exact))


PHP_READS = ["1", " 1", "1 ", "\t1\n", "+1", "-1", "1.", ".5", "-.5", "1e3", "1E+3", "1.5e-3", "007", "00.10", "\v1\f"]
PHP_DOES_NOT = [
    "",
    " ",
    ".",
    "-",
    "+",
    "e3",
    "1e",
    "1 2",
    "--1",
    "0x1A",
    "1_000",
    "12,50",
    "\u0661",
    "NaN",
    "INF",
    "\01",
]


def test_texts_are_numbers_that_php_takes_for_numbers() -> None:
    for text in PHP_READS:
        found = number.read(text)
        assert found is not None
        assert float(found.text) == float(text)
    assert [text for text in PHP_DOES_NOT if number.read(text) is not None] == []
    assert [text for text in ("1e400", "9" * 309, "-" + "9" * 400, "9" * 5000) if number.read(text) is not None] == []


@given(st.text("0123456789.eE+- ", max_size=12))
def test_a_text_that_needs_no_repair_is_a_json_number_of_at_most_14_digits(text: str) -> None:
    found = number.read(text)
    if found is not None and not found.repaired:
        assert float(json.loads(text)) == float(found.text)
        assert re.fullmatch(number.PRICE_TEXT, text)
    whole = number.read(text, whole=True)
    if whole is not None and not whole.repaired:
        assert whole.is_whole
        assert re.fullmatch(number.QUANTITY_TEXT, text)
