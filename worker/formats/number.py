"""The number rule: how a number is written into the form body, whatever its spelling on the topic."""

import re
from decimal import Decimal
from typing import Final

# A JSON number (RFC 8259, section 6), for regular expressions whose `$` is the very end.
PATTERN: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_INTEGER = re.compile(r"-?[0-9]+")


def text(number: float | str) -> str:
    """The shortest decimal form without exponent and without a trailing `.0`; integers digit by digit, -0 as 0.

    A string holds a finite number in JSON's syntax and is written as that number would be.
    """
    if isinstance(number, str):
        number = int(number) if _INTEGER.fullmatch(number) else float(number)
    if isinstance(number, int):
        return str(number)
    digits = repr(number)
    if "e" in digits:
        digits = format(Decimal(digits), "f")
    digits = digits.removesuffix(".0")
    return "0" if digits == "-0" else digits
