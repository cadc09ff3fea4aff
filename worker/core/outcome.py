"""What an exchange with the API means for an event. Rules: the event contract's table of outcomes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import orjson

KEY_REFUSED_MESSAGE: Final = "Invalid API key"

UNKNOWN_VISIT: Final = "unknown_visit_id"

#: The API's own words, by the reason under which they are counted. Case, final periods and blanks do not matter.
MESSAGES: Final[Mapping[str, str]] = {
    "Missing required parameter": "missing_required_parameter",
    "Invalid products format": "invalid_products_format",
    "Unknown visit_id": UNKNOWN_VISIT,
}
REJECTION_REASONS: Final = (
    "malformed_json",
    "invalid_event",
    *MESSAGES.values(),
    "other_error",
    "payload_too_large",
    "attempts_exhausted",
)
RETRY_REASONS: Final = (
    "timeout",
    "connection",
    "http_5xx",
    "http_429",
    "http_other",
    "bad_response",
    "invalid_api_key",
    "rejections",
)

_SUCCESS_CLASS: Final = 2
_CLIENT_ERROR_CLASS: Final = 4
_SERVER_ERROR_CLASS: Final = 5
_TOO_MANY_REQUESTS: Final = 429
#: Retryable whatever the body says: request time-out, too early, too many requests.
_RETRYABLE_STATUS: Final = frozenset({408, 425, _TOO_MANY_REQUESTS})
_TOO_LARGE_STATUS: Final = frozenset({413, 414})
#: With these the API itself refuses the event. Under any other 4xx something in front of it may speak.
_REJECTING_STATUS: Final = frozenset({400, 409, 422} | _TOO_LARGE_STATUS)
#: A gateway lost the API, or gave up waiting for it, and the API may still be at work: as ambiguous as a time-out.
_AMBIGUOUS_STATUS: Final = frozenset({502, 504, *range(520, 525)})
#: The API's usual answers are few and short, and parsed once (bytes).
_SHORT: Final = 100
#: An API that answers a paragraph gets its first words logged, no more.
_LONGEST_MESSAGE: Final = 200


class Result(StrEnum):
    """What becomes of the event; the values are those of the metrics' label `outcome`."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    RETRYABLE = "retryable"
    KEY_REFUSED = "key_refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request.

    `reason` is one of the closed sets above, empty when delivered. `retry_after` is in seconds, as the API asked.
    `ambiguous`: the API may still act on the request after we gave it up. `asked` False: nothing could be sent, so
    the API has said nothing.
    """

    result: Result
    reason: str = ""
    message: str = ""
    retry_after: float | None = None
    ambiguous: bool = False
    asked: bool = True


DELIVERED: Final = Outcome(Result.DELIVERED)


def timed_out(*, written: bool = True) -> Outcome:
    """The deadline passed. `written`: the request, or a part of it, may have left by then."""
    message = "no answer within the deadline" if written else "no connection within the deadline"
    return Outcome(Result.RETRYABLE, "timeout", message, ambiguous=written)


def connection_failed(message: str, *, written: bool) -> Outcome:
    """The connection or TLS failed. `written`: the request, or a part of it, had left."""
    return Outcome(Result.RETRYABLE, "connection", message[:_LONGEST_MESSAGE], ambiguous=written)


def classify(status: int, body: bytes, retry_after: float | None = None) -> Outcome:
    """The outcome of an answer that came in whole and in time."""
    if status // 100 == _SERVER_ERROR_CLASS or status in _RETRYABLE_STATUS:
        reason = "http_429" if status == _TOO_MANY_REQUESTS else "http_5xx" if status >= 500 else "http_other"  # noqa: PLR2004
        return _retryable(status, reason, retry_after)
    read = _envelope_of_short if len(body) <= _SHORT else _envelope
    if status // 100 in (_SUCCESS_CLASS, _CLIENT_ERROR_CLASS) and (envelope := read(body)) is not None:
        return _by_envelope(status, *envelope, retry_after)
    if status in _TOO_LARGE_STATUS:
        return Outcome(Result.REJECTED, "payload_too_large", f"HTTP {status}")
    reason = "bad_response" if status // 100 == _SUCCESS_CLASS else "http_other"
    return _retryable(status, reason, retry_after)


def _retryable(status: int, reason: str, retry_after: float | None) -> Outcome:
    ambiguous = status in _AMBIGUOUS_STATUS
    return Outcome(Result.RETRYABLE, reason, f"HTTP {status}", retry_after=retry_after, ambiguous=ambiguous)


@lru_cache(maxsize=64)
def _envelope_of_short(body: bytes) -> tuple[str, str] | None:
    return _envelope(body)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # PHP escapes half a surrogate pair, which orjson refuses


def _envelope(body: bytes) -> tuple[str, str] | None:
    """(status, message) of the API's JSON envelope; None where the body is anything else."""
    try:
        answer: Any = _parse(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
        return None
    message = answer.get("message")
    return answer["status"], _printable(message) if isinstance(message, str) else ""


def _printable(message: str) -> str:
    """As UTF-8 can hold it: half a surrogate pair becomes its escape."""
    return message.strip().encode(errors="backslashreplace").decode()


def _by_envelope(status: int, said: str, message: str, retry_after: float | None) -> Outcome:
    if said == "success":
        return DELIVERED
    words = _words(message)
    if words == _KEY_REFUSED:
        return Outcome(Result.KEY_REFUSED, "invalid_api_key", KEY_REFUSED_MESSAGE, retry_after=retry_after)
    if status // 100 == _CLIENT_ERROR_CLASS and status not in _REJECTING_STATUS:
        return _retryable(status, "http_other", retry_after)
    return Outcome(Result.REJECTED, _REASONS.get(words, "other_error"), message[:_LONGEST_MESSAGE])


def _words(message: str) -> str:
    """The message as it is compared."""
    return message.strip().rstrip(". \t\r\n").casefold()


_KEY_REFUSED: Final = _words(KEY_REFUSED_MESSAGE)
_REASONS: Final = {_words(message): reason for message, reason in MESSAGES.items()}


def parse_retry_after(value: str | None, wall_now: float) -> float | None:
    """Seconds to wait by a `Retry-After` header (RFC 9110, 10.2.3: seconds or a date); None: absent or unreadable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)  # asctime's form names no zone; HTTP's dates are in UTC, not local time
        return max(0.0, when.timestamp() - wall_now)
    except (ValueError, OverflowError, TypeError):
        return None
