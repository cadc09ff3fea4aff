"""A form body as PHP reads it into `$_POST`: nested names become nested arrays.

Source of the rules: PHP's `php_register_variable_ex` and `php_std_post_handler`; tests/sandbox/test_form.py compares
with PHP itself where it is installed.
"""

import re
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

# PHP's default `max_input_nesting_level`.
MAX_NESTING = 64

_MAX_INT = 2**63 - 1
_INTEGER = re.compile(r"-?[1-9][0-9]{0,18}|0", re.ASCII)
_SPACES = " \t\n\v\f\r"

Key: TypeAlias = int | str
Plain: TypeAlias = str | list["Plain"] | dict[str, "Plain"]


class PhpArray(dict[Key, "Value"]):
    """An ordered map whose integer-like keys are integers, and which knows the index that `[]` takes next."""

    __slots__ = ("next_index",)

    def __init__(self) -> None:
        super().__init__()
        self.next_index = 0

    def put(self, key: Key, value: "Value") -> None:
        self[key] = value
        if isinstance(key, int) and key >= self.next_index:
            self.next_index = key + 1

    def child(self, key: Key | None) -> "PhpArray | None":
        """The array at `key`, made there in place of anything else; None if `[]` has no index left."""
        if key is None:
            if self.next_index > _MAX_INT:
                return None
            key = self.next_index
        found = self.get(key)
        if isinstance(found, PhpArray):
            return found
        made = PhpArray()
        self.put(key, made)
        return made


Value: TypeAlias = str | PhpArray


class _Name(NamedTuple):
    """Where a field goes: one key per level, None for `[]`. No keys: nowhere."""

    keys: tuple[Key | None, ...]
    too_deep: bool = False


def parse_form(body: bytes, max_fields: int | None = None) -> PhpArray:
    """The fields of an `application/x-www-form-urlencoded` body; never raises, whatever the bytes are.

    `max_fields` is PHP's `max_input_vars` (1,000 by default there): what comes after is left out without a word.
    Bytes that are not UTF-8 become U+FFFD.
    """
    fields = PhpArray()
    pairs = [pair for pair in body.decode("utf-8", "replace").split("&") if pair]
    for pair in pairs if max_fields is None else pairs[:max_fields]:
        name, _, value = pair.partition("=")
        where = _name(name) if len(name) <= 512 else _name.__wrapped__(name)  # noqa: PLR2004 - keeps the cache small
        if where.too_deep:
            fields.pop(_top(where), None)
        elif where.keys:
            _register(fields, where.keys, _decode(value))
    return fields


def plain(value: Value) -> Plain:
    """The same as PHP's `json_encode` shows it: an array whose keys are 0, 1, 2 … in order is a list."""
    if isinstance(value, str):
        return value
    if list(value) == list(range(len(value))):
        return [plain(item) for item in value.values()]
    return {str(key): plain(item) for key, item in value.items()}


def _register(fields: PhpArray, keys: tuple[Key | None, ...], value: str) -> None:
    array = fields
    for key in keys[:-1]:
        deeper = array.child(key)
        if deeper is None:
            return
        array = deeper
    last = keys[-1]
    if last is not None:
        array.put(last, value)
    elif array.next_index <= _MAX_INT:
        array.put(array.next_index, value)


def _decode(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="replace") if "%" in text else text


# The same names come with every request: a cart of three products spends most of its parsing here otherwise.
@lru_cache(maxsize=8192)
def _name(encoded: str) -> _Name:
    name = _decode(encoded).split("\0", 1)[0].lstrip(" ")
    head, bracket, rest = name.partition("[")
    top = head.replace(" ", "_").replace(".", "_")
    if not top:
        return _Name(())
    if bracket and "]" not in _after_space(rest):
        # An index that is never closed is no index.
        mangled = rest.replace(" ", "_").replace(".", "_").replace("[", "_")
        return _Name((_key(f"{top}_{mangled}"),))
    return _Name((_key(top),)) if not bracket else _indexes(_key(top), rest)


def _indexes(top: Key, rest: str) -> _Name:
    keys: list[Key | None] = [top]
    while True:
        if len(keys) > MAX_NESTING:
            return _Name((top,), too_deep=True)
        skipped = _after_space(rest)
        closing = skipped.find("]")
        if closing < 0:
            break
        keys.append(None if closing == 0 else _key(rest[: closing + len(rest) - len(skipped)]))
        tail = skipped[closing + 1 :]
        if not tail.startswith("["):
            break
        rest = tail[1:]
    return _Name(tuple(keys))


def _after_space(text: str) -> str:
    return text[1:] if text[:1] in _SPACES else text


def _top(where: _Name) -> Key:
    top = where.keys[0]
    assert top is not None  # noqa: S101 - only an inner level can be `[]`
    return top


def _key(text: str) -> Key:
    if _INTEGER.fullmatch(text):
        number = int(text)
        if -_MAX_INT <= number <= _MAX_INT:
            return number
    return text
