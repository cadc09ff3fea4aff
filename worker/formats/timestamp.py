"""When an event says that it happened. For freshness only: nothing here is an error."""

import re
from datetime import UTC, datetime
from typing import Any, Final

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,20})?")
_LONGEST: Final = 40
_YEAR_10000: Final = 253_402_300_800


def seconds(value: Any) -> float | None:
    """UNIX seconds of an ISO 8601 string (UTC where it names no zone) or of a number, itself or as a string.

    None where it can't be read or lies outside the years 1970 to 9999.
    """
    if isinstance(value, str):
        value = _read(value) if len(value) <= _LONGEST else None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < _YEAR_10000 else None


def _read(text: str) -> float | None:
    if "-" not in text and _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
