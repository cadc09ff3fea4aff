"""A record's bytes as an object, fast on every record and exact where it counts."""

import json
import re
from typing import Any

import orjson

# In front of a JSON number stands a bracket, a comma, a colon, white space or its minus sign.
_LONG_INTEGER = re.compile(rb"[:,\[\s-][0-9]{19}")


def fast(value: bytes) -> Any:
    """The JSON value; integers beyond 64 bits come out as floats.

    Raises ValueError for anything else than RFC 8259 JSON in UTF-8 whose numbers are finite and whose nesting ends at
    1,024, RecursionError where the interpreter gives up earlier.
    """
    return orjson.loads(value)


def has_long_integers(value: bytes) -> bool:
    """Whether `fast` may have rounded an integer of this value."""
    return _LONG_INTEGER.search(value) is not None


def exact(value: bytes) -> Any:
    """As `fast`, which accepted the value, but integers of any length are kept.

    Deeper nested than the standard library can follow, the value comes out as `fast` has it.
    """
    try:
        return json.loads(value.decode())
    except (ValueError, RecursionError):
        return fast(value)
