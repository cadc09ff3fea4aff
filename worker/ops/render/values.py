"""Splits a file into the values of records: one a line, one over several lines, or the elements of an array."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Final

from msgspec import DecodeError, Raw
from msgspec.json import decode

from worker.ops.render import LONGEST_VALUE, Source

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_token = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]')


def values(stream: IO[bytes]) -> Iterator[Source]:
    """The values in their own bytes; blank lines are left out. Memory: one value, or an array that is the whole file.

    A line that is indented, or closes a bracket, goes on with the value before it.
    """
    first = stream.readline(LONGEST_VALUE + 1)
    if first.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"["):
        yield from _elements(first, stream)
    else:
        yield from _by_lines(first, stream)


def _by_lines(first: bytes, stream: IO[bytes]) -> Iterator[Source]:
    number, start, depth = 0, 1, 0
    value = b""
    for line, too_long in _lines(first, stream):
        number += 1
        if value and depth > 0 and line.startswith((b"{", b'"')):
            yield _source(start, number - 1, value)
            value = b""
        if too_long or len(value) + len(line) > LONGEST_VALUE:
            yield Source(f"line {number if not value else start}", None, too_long=True)
            value = b""
            continue
        if not value:
            start, depth = number, 0
        value += line
        depth += _opened(line)
        if depth <= 0:
            if value.strip():
                yield _source(start, number, value)
            value = b""
    if value.strip():
        yield _source(start, number, value)


def _source(start: int, end: int, value: bytes) -> Source:
    return Source(f"line {start}" if start == end else f"lines {start}-{end}", value.rstrip(b"\r\n"))


def _lines(first: bytes, stream: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it is too long, of which the rest is passed over then."""
    line = first
    while line:
        too_long = len(line) > LONGEST_VALUE and not line.endswith(b"\n")
        while too_long and (rest := stream.readline(LONGEST_VALUE)) and not rest.endswith(b"\n"):
            pass
        yield line, too_long
        line = stream.readline(LONGEST_VALUE + 1)


def _opened(line: bytes) -> int:
    """How many brackets a line opens beyond those that it closes; strings don't count."""
    tokens = _token.findall(line)
    return sum((token in b"[{") - (token in b"]}") for token in tokens if len(token) == 1)


def _elements(first: bytes, stream: IO[bytes]) -> Iterator[Source]:
    """The elements of an array. If the whole is none, its lines are values: the first may be a broken one."""
    value = first + stream.read(LONGEST_VALUE + 1 - len(first))
    if len(value) > LONGEST_VALUE:
        yield Source("line 1", None, too_long=True)
        return
    try:
        elements = decode(value.removeprefix(_BYTE_ORDER_MARK), type=list[Raw])
    except (DecodeError, RecursionError):
        whole = BytesIO(value)
        yield from _by_lines(whole.readline(), whole)
        return
    for number, element in enumerate(elements, start=1):
        yield Source(f"element {number}", bytes(element))
