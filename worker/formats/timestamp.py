"""When an event says that it happened. For freshness only: nothing here is an error."""

import re
from datetime import UTC, datetime
from typing import Any, Final

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,20})?")
_LONGEST: Final = 40
_YEAR_10000: Final = 253_402_300_800
#: Seconds (docs/events.md).
_CLOCKS_DIFFER_BY: Final = 60


def seconds(value: Any) -> float | None:
    """UNIX seconds of an ISO 8601 string (UTC where it names no zone) or of a number, itself or as a string.

    None where it can't be read or lies outside the years 1970 to 9999.
    """
    if isinstance(value, str):
        value = _read(value) if len(value) <= _LONGEST else None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < _YEAR_10000 else None


def is_ahead(moment: float | None, recorded_at: int) -> bool:
    """Whether a moment is later than the record's timestamp (ms; -1: none) by more than clocks differ."""
    return moment is not None and recorded_at >= 0 and moment > recorded_at / 1000 + _CLOCKS_DIFFER_BY


def _read(text: str) -> float | None:
    if "-" not in text and _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
