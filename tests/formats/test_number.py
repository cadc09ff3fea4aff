"""The number rule: shortest decimal form, no exponent, no trailing `.0`."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.formats import number


@pytest.mark.parametrize(
    ("given_number", "written"),
    [
        (0, "0"),
        (-0.0, "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        (30.0, "30"),
        (29.99, "29.99"),
        ("10.50", "10.5"),
        ("5.00", "5"),
        (1e-5, "0.00001"),
        (1.5e-7, "0.00000015"),
        ("1E2", "100"),
        (1e16, "1" + "0" * 16),
        (1e23, "1" + "0" * 23),
        (-1.25e20, "-125000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (10**22 + 1, "10000000000000000000001"),
        ("10000000000000000000001", "10000000000000000000001"),
        ("1e-999999999", "0"),
        ("-1e-999999999", "0"),
    ],
    ids=repr,
)
def test_a_number_is_written_in_shortest_decimal_form(given_number: float | str, written: str) -> None:
    assert number.text(given_number) == written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_float_reads_as_the_same_float(price: float) -> None:
    written = number.text(price)
    assert float(written) == price
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]*[1-9])?", written)
    assert written != "-0"


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers()))
def test_a_number_is_written_alike_whether_it_came_as_a_string_or_not(price: float) -> None:
    assert number.text(json.dumps(price)) == number.text(price)
