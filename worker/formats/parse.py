"""A record's bytes as a JSON value: fast where they are well-formed, and what can be had of them where they are not.

Half a surrogate pair and bytes that are not UTF-8 come out as lone surrogates, so that an id that had them is told from
one that holds U+FFFD; `clean` turns them into that character.
"""

import json
import re
from typing import Any, Final, NamedTuple

import orjson
from msgspec import DecodeError
from msgspec.json import Decoder

from worker.formats.values import Damaged

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
#: Longer integers are beyond a double: they come out as infinity.
_LONGEST_INTEGER: Final = 309
# Stand for bytes that are not UTF-8, one for each.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)')
# Unlike other fast parsers it keeps the digits of long integers.
_strictly: Final = Decoder().decode
#: Values of so many bytes are looked through for what would hold up the thread that reads the topic.
_LARGE: Final = 4096
_large_exponent: Final = re.compile(rb"[0-9.][eE][+-]?[0-9]{2}").search
_long_integer: Final = re.compile(rb"[:,\[\s-][0-9]{19}").search
_NESTS_TOO_DEEP: Final = "the value nests too deep to be read"

#: How values begin that are no JSON, by what they are.
_FOUND: Final = (
    (b"\x1f\x8b", "gzip data: leave compression to Kafka's compression.type"),
    (b"\x28\xb5\x2f\xfd", "zstd data: leave compression to Kafka's compression.type"),
    (b"\xff\xfe", "text in UTF-16: write UTF-8"),
    (b"\xfe\xff", "text in UTF-16: write UTF-8"),
    (b"\x00{\x00", "text in UTF-16: write UTF-8"),
    (b"{\x00", "text in UTF-16: write UTF-8"),
    (b"[\x00", "text in UTF-16: write UTF-8"),
    (b"<", "XML or HTML"),
    (b"a:", "PHP's serialize(): use json_encode()"),
    (b"O:", "PHP's serialize(): use json_encode()"),
    (b"\xac\xed", "a serialized Java object: write JSON"),
)
_FORM = re.compile(rb"[A-Za-z_][\w.%\[\]]{0,60}=")


class Parsed(NamedTuple):
    """A JSON value. `plain`: no text of it holds what was no character, and no number is beyond a double."""

    tree: Any
    plain: bool


class MalformedError(ValueError):
    """No JSON value; the message says where and what, and holds nothing of the record."""


def value_of(data: bytes) -> Parsed:
    """The JSON value of bytes without a byte order mark. Integers keep their digits.

    Raises MalformedError.
    """
    try:
        if has_slow_numbers(data):
            tree = orjson.loads(data)
            return Parsed(_loads(data.decode()), plain=False) if _long_integer(data) else Parsed(tree, plain=True)
        return Parsed(_strictly(data), plain=True)
    except (DecodeError, ValueError, RecursionError):
        return Parsed(_loads(data.decode("utf-8", "surrogateescape")), plain=False)


def has_slow_numbers(data: bytes) -> bool:
    """Whether a large value has numbers such as `1e308`, which msgspec takes 50 µs each for."""
    return len(data) > _LARGE and _large_exponent(data) is not None


def value_of_text(text: str) -> Parsed:
    """As `value_of`, of a JSON text inside a JSON string."""
    try:
        return value_of(text.encode())
    except UnicodeEncodeError:
        return Parsed(_loads(text), plain=False)


def clean(tree: Any) -> Any:
    """The value with U+FFFD for what was no character; texts that had such are `Damaged`. Raises RecursionError."""
    if isinstance(tree, str):
        return tree if _SURROGATE.search(tree) is None else Damaged(_SURROGATE.sub("\ufffd", tree))
    if isinstance(tree, dict):
        return {clean(key): clean(child) for key, child in tree.items()}
    return [clean(child) for child in tree] if isinstance(tree, list) else tree


def found(data: bytes) -> str | None:
    """What a value is that is no JSON, as far as its first bytes tell."""
    if not data.strip():
        return "an empty value"
    for beginning, what in _FOUND:
        if data.startswith(beginning):
            return what
    return "a form body: write JSON" if _FORM.match(data) else None


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise MalformedError(f"byte {_offset(text, error.pos)}: {_said(error)}") from error
    except _NoNumberError as error:
        raise MalformedError(f"byte {_offset(text, _place(text))}: {error} is no JSON") from error
    except RecursionError as error:
        raise MalformedError(_NESTS_TOO_DEEP) from error


class _NoNumberError(ValueError):
    pass


def _refuse(name: str) -> Any:
    raise _NoNumberError(name)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _place(text: str) -> int:
    """Where the first NaN or Infinity stands outside of a string."""
    return next((found.start() for found in _NO_NUMBER.finditer(text) if found[1]), 0)


def _offset(text: str, position: int) -> int:
    """The byte of the value at which a character of its text stands."""
    before = text[:position]
    # As a surrogate each such byte is encoded as three.
    return len(before.encode("utf-8", "surrogatepass")) - 2 * len(_NOT_UTF8.findall(before))


def _said(error: json.JSONDecodeError) -> str:
    said = error.msg.removesuffix(" at")
    return said[0].lower() + said[1:]
