"""How single values of a shop are read: what PHP, whose values most of them are, would make of them."""

import re
from typing import Any, Final

from worker.formats import number

#: A field that the event does not have, where null means something else.
ABSENT: Final = object()
#: What PHP and JavaScript write where there is no visit.
NO_VISIT: Final = frozenset(("", "0", "null", "undefined"))
_TRUE: Final = ("y", "yes", "true", "on")
_FALSE: Final = ("n", "no", "false", "off")
_LARGEST_EXACT: Final = 2.0**53
_call_id = re.compile("-?0*[1-9][0-9]*").fullmatch


class Damaged(str):
    """A text in which U+FFFD stands for what was no character: half a surrogate pair, bytes that are not UTF-8."""

    __slots__ = ()


def is_nothing(value: Any) -> bool:
    """Whether a value is absent, null, "" or false."""
    return value is ABSENT or value is None or value is False or (isinstance(value, str) and value == "")


def identity(value: Any) -> tuple[str, bool] | None:
    """An id as text, and whether it had to be repaired (`900.0`); None: no id can be read without changing it."""
    if isinstance(value, str):
        return (value, False) if value and not isinstance(value, Damaged) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), False
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return str(int(value)), True
    return None


def is_zero(value: Any) -> bool:
    """Whether an id is what PHP writes for none: 0, `"0"`, `"000"`."""
    if isinstance(value, str):
        return value != "" and not value.strip("0")
    return isinstance(value, int | float) and value == 0


def is_no_visit(value: Any) -> bool:
    """Whether a `visit_id` says that there is no visit: absent, null, false, 0, blank, `"null"`, `"undefined"`."""
    if isinstance(value, str):
        return value.strip() in NO_VISIT
    return is_nothing(value) or is_zero(value)


def is_currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()  # noqa: PLR2004


def text(value: Any) -> tuple[str, bool] | None:
    """A text that is not empty, and whether it was a number; None: it is neither."""
    if isinstance(value, str):
        return (value, False) if value else None
    digits = number.read(value)
    return None if digits is None else (number.text(value), True)


def truth(value: Any) -> tuple[int, bool]:
    """1 or 0, and whether the value had to be repaired."""
    if value.__class__ is bool or (isinstance(value, int | float) and value in (0, 1)):
        return int(value), False
    if isinstance(value, str):
        if value in ("0", "1"):
            return int(value), False
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return int(word in _TRUE), True
    return int(value is not ABSENT and bool(value)), True


def call_id(value: Any) -> tuple[str | None, str | None]:
    """A `call_id` as text (None: there is none), and the label of its repair, if it needed one."""
    if value is ABSENT or value is None or value == "":
        return None, None
    if isinstance(value, str) and _call_id(value):
        return value, None
    if isinstance(value, int) and not isinstance(value, bool) and value != 0:
        return str(value), None
    digits = number.read(value, whole=True)
    if digits is not None and digits.is_whole and digits.text != "0":
        return digits.text, "number"
    return None, "optional_field"
