"""The number rule: how PHP reads a number and how it is written into the form body, whatever its spelling on the topic.

Source: PHP's manual on numeric strings, and `http_build_query`, which rounds to `precision` = 14 significant digits.
"""

import re
from decimal import Context, Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

#: Significant digits that a price or a quantity keeps unless it is an integer.
DIGITS: Final = 14
#: A finite double has at most so many digits before the point.
_LONGEST_INTEGER: Final = 308
_LONGEST_TEXT: Final = 1000
_CACHEABLE: Final = 24

_INTEGER: Final = "0|[1-9][0-9]{0,307}"
# At most 14 significant digits, as JSON writes them: one choice for each number of digits before the point.
_MANTISSA: Final = "|".join(
    ["0|[1-9][0-9]{0,13}|0[.]0*[0-9]{1,14}"]
    + [f"[1-9][0-9]{{{before}}}[.][0-9]{{1,{DIGITS - 1 - before}}}" for before in range(DIGITS - 1)]
)
#: Numbers as strings that need no repair. The JSON Schema holds the same patterns.
PRICE_TEXT: Final = f"^-?({_INTEGER}|({_MANTISSA})([eE][+-]?[0-9]{{1,2}})?)$"
QUANTITY_TEXT: Final = f"^-?({_INTEGER}|(0|[1-9][0-9]{{0,13}})[.]0+)$"
_integer = re.compile(f"-?(?:{_INTEGER})").fullmatch
_price = re.compile(PRICE_TEXT[1:-1]).fullmatch
_quantity = re.compile(QUANTITY_TEXT[1:-1]).fullmatch
_php = re.compile(r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\n\r\v\f]*").fullmatch
_EXACT: Final = Context(prec=1000)
_ROUNDED: Final = Context(prec=DIGITS)


class Number(NamedTuple):
    """`text` has neither exponent nor trailing zeros after the point. `repaired`: it was written otherwise."""

    text: str
    repaired: bool

    @property
    def is_whole(self) -> bool:
        return "." not in self.text


def text(number: float | str) -> str:
    """The shortest decimal form without exponent and without a trailing `.0`; integers digit by digit, -0 as 0.

    A string is returned as it is.
    """
    if isinstance(number, str):
        return number
    if isinstance(number, int):
        return str(number)
    digits = repr(number)
    if "e" in digits:
        digits = format(Decimal(digits), "f")
    digits = digits.removesuffix(".0")
    return "0" if digits == "-0" else digits


def is_long(number: float) -> bool:
    """Whether the shortest form of a finite float has more than 14 significant digits."""
    digits = repr(number)
    if len(digits) <= DIGITS + 1:
        return False
    mantissa = digits.partition("e")[0].lstrip("-").removesuffix(".0").replace(".", "").strip("0")
    return len(mantissa) > DIGITS


def read(value: Any, *, whole: bool = False) -> Number | None:
    """A price, or with `whole` a quantity; None: it is no finite number.

    A quantity that is whole is written as an integer in the topic's strings (`"2"`, `"2.0"`), else it is repaired.
    """
    if value.__class__ is str:
        return _of_text(value, whole) if len(value) <= _CACHEABLE else _of_long_text(value, whole)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        digits = str(value) if -(2**1024) < value < 2**1024 else ""
        return Number(digits, repaired=False) if 0 < len(digits.lstrip("-")) <= _LONGEST_INTEGER else None
    if isinstance(value, float):
        return _of_float(value)
    return None


def product(*factors: str) -> str:
    """The product of numbers in decimal arithmetic, rounded to 14 significant digits unless it is an integer."""
    result = Decimal(1)
    for factor in factors:
        result = _EXACT.multiply(result, Decimal(factor))
    return of_decimal(result)


def quotient(dividend: str, divisor: str) -> str:
    """In decimal arithmetic, rounded to 14 significant digits. The divisor is not 0."""
    return of_decimal(_ROUNDED.divide(Decimal(dividend), Decimal(divisor)))


def add(total: Decimal, quantity: str, price: str) -> Decimal:
    """The total and quantity × price, exactly."""
    return _EXACT.add(total, _EXACT.multiply(Decimal(quantity), Decimal(price)))


def of_decimal(number: Decimal) -> str:
    """As `text`: an integer keeps all its digits, another number 14 significant ones."""
    if number != number.to_integral_value(context=_EXACT):
        number = _ROUNDED.plus(number)
    digits = format(number, "f")
    if "." in digits:
        digits = digits.rstrip("0").removesuffix(".")
    return "0" if digits in ("-0", "") else digits


def _of_float(value: float) -> Number | None:
    if not isfinite(value):
        return None
    if not is_long(value):
        return Number(text(value), repaired=False)
    return Number(of_decimal(_ROUNDED.create_decimal_from_float(value)), repaired=True)


def _of_long_text(value: str, whole: bool) -> Number | None:
    if len(value) > _LONGEST_TEXT:
        return None
    if _integer(value):
        return Number("0" if value == "-0" else value, repaired=False)
    number = _php(value)
    if number is None:
        return None
    plain = number[1].removeprefix("+")
    if plain.lstrip("-").isdecimal():  # `007`, ` 12`: an integer keeps its digits
        digits = plain.lstrip("-").lstrip("0") or "0"
        sign = "-" if plain.startswith("-") and digits != "0" else ""
        return Number(sign + digits, repaired=True) if len(digits) <= _LONGEST_INTEGER else None
    read_as = _of_float(float(plain))
    if read_as is None:
        return None
    usual = _quantity(value) if whole else _price(value)
    return Number(read_as.text, repaired=read_as.repaired or usual is None)


# Prices return with every state of a cart. Bounded in number and length.
_of_text: Final = lru_cache(maxsize=8192)(_of_long_text)
