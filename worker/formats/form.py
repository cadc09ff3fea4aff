"""Parameters as PHP's `http_build_query` writes them into a form body."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote_plus

from worker.formats import number

Pairs = list[tuple[str, str]]

#: Characters of all names and values. PHP takes 8 MB by default, and a cart of a megabyte comes to two or three.
LONGEST_FORM: Final = 16 * 1024 * 1024
_CACHEABLE: Final = 64
_NUMBERS: Final = (int, float)  # a tuple: `int | float` would be built anew for every value
# Most values are numbers and ids, which quoting would leave as they are, at five times the cost of seeing that.
_is_safe: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


class TooLargeError(ValueError):
    """The form would be out of all proportion to its event: names grow with the depth, and `1e308` with its zeros."""


def flatten(parameters: Mapping[str, Any]) -> Pairs:
    """The decoded name/value pairs: nested values as `a[b][0]`, true/false as 1/0, null and empty arrays left out.

    Numbers follow the number rule. The source is PHP's manual of `http_build_query`, and PHP itself in the tests.
    Raises TooLargeError.
    """
    pairs: Pairs = []
    left = LONGEST_FORM
    for name, value in parameters.items():
        left = _add(pairs, name, value, left)
    return pairs


def body(pairs: Iterable[tuple[str, str]]) -> bytes:
    """The pairs as `application/x-www-form-urlencoded`."""
    return "&".join(
        [f"{_quoted(name)}={value if _is_safe(value) else _quoted(value)}" for name, value in pairs]
    ).encode("ascii")


def _add(pairs: Pairs, name: str, value: Any, left: int) -> int:
    """Adds what the value comes to. `left`: characters that there may still be; returns what is left then."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "1" if value else "0"
    elif isinstance(value, _NUMBERS):
        text = number.text(value)
    elif value is None:
        return left
    else:
        for key, child in _children(value):
            left = _add(pairs, f"{name}[{key}]", child, left)
        return left
    left -= len(name) + len(text)
    if left < 0:
        raise TooLargeError(f"the form is longer than {LONGEST_FORM:,} characters")
    pairs.append((name, text))
    return left


def _children(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value)


# Names such as products[3][price] return with every cart, those of the shop's articles with many. Bounded in number and
# length: details may have any keys.
_quoted_short = lru_cache(maxsize=8192)(quote_plus)


def _quoted(text: str) -> str:
    return _quoted_short(text) if len(text) <= _CACHEABLE else quote_plus(text)
