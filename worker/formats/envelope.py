"""The first step of reading: from a record's bytes to the object that is the event, out of what it was wrapped in.

Known envelopes: the five bytes of a schema registry, a structured CloudEvent, Connect's `schema` and `payload`, and
JSON inside a JSON string, at most two of them around each other.
"""

import base64
import binascii
from typing import Any, Final, NamedTuple

from worker.formats import parse
from worker.formats.parse import BYTE_ORDER_MARK, MalformedError, Parsed

MOST: Final = 2
_REGISTRY_HEADER: Final = 5
_DEBEZIUM: Final = ("before", "after")


class Wrapped(NamedTuple):
    """What an envelope holds, and the name of the field that holds it."""

    field: str
    content: Parsed


class Opened(NamedTuple):
    """The value of a record's bytes, and what had to be taken off: a byte order mark, the header of a registry."""

    parsed: Parsed
    had_mark: bool
    had_header: bool


def open_bytes(data: bytes) -> Opened:
    """The JSON value of a record's bytes. Raises MalformedError."""
    start = 0
    had_header = data[:1] == b"\0" and len(data) > _REGISTRY_HEADER and data[1:3] != b"{\0"
    if had_header:
        start = _REGISTRY_HEADER
    had_mark = data.startswith(BYTE_ORDER_MARK, start)
    if had_mark:
        start += len(BYTE_ORDER_MARK)
    content = data[start:] if start else data
    try:
        return Opened(parse.value_of(content), had_mark, had_header)
    except MalformedError as error:
        raise MalformedError(_explained(error, content, start, had_header)) from error


def opened_text(text: str) -> Parsed:
    """The value of a JSON text that a JSON string holds. Raises MalformedError."""
    try:
        return parse.value_of_text(text.removeprefix("\ufeff"))
    except MalformedError as error:
        raise MalformedError(f"expected a JSON object, found a string (as JSON: {error})") from error


def wrapped(tree: dict[str, Any], *, plain: bool) -> Wrapped | None:
    """What an object holds that is an envelope; None: it is none. Raises MalformedError."""
    if "specversion" in tree:
        if "data_base64" in tree and "data" not in tree:
            return Wrapped("data_base64", _of_base64(tree["data_base64"]))
        return Wrapped("data", Parsed(tree.get("data"), plain))
    if "payload" in tree and "schema" in tree:
        return Wrapped("payload", Parsed(tree["payload"], plain))
    return None


def is_debezium(tree: dict[str, Any]) -> bool:
    """Whether an object is a change as Debezium writes it, and no event that has such fields."""
    is_event = isinstance(tree.get("source"), str) or tree.get("type") in ("cart", "order")
    return not is_event and "op" in tree and any(name in tree for name in _DEBEZIUM)


def kind_of(value: Any) -> str:
    """What a JSON value is, in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "a number"


def _of_base64(value: Any) -> Parsed:
    try:
        return parse.value_of(base64.b64decode(value, validate=True))
    except (TypeError, ValueError, binascii.Error) as error:
        raise MalformedError("data_base64: expected JSON in base64") from error


def _explained(error: MalformedError, content: bytes, start: int, had_header: bool) -> str:
    if had_header and not content.lstrip().startswith((b"{", b'"')):
        return "expected a JSON object, found the header of a schema registry before something else (Avro or Protobuf?)"
    what = parse.found(content)
    if what is not None:
        return f"expected a JSON object, found {what}"
    return _shifted(str(error), start)


def _shifted(message: str, start: int) -> str:
    """The message with its place counted from the record's first byte."""
    if not (start and message.startswith("byte ")):
        return message
    place, _, rest = message.removeprefix("byte ").partition(":")
    return f"byte {int(place) + start}:{rest}"
