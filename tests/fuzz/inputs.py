"""Hostile records: real events, changed at random. The n-th input of a seed is always the same."""

import copy
import json
from collections.abc import Callable
from functools import cache
from itertools import islice
from random import Random
from typing import Any, Final

import orjson

from tests.formats.events import cases, vectors
from worker.sandbox.traffic import traffic

#: What is put in as it is: into the bytes anywhere, or as a value where a placeholder stands.
TOKENS: Final = [
    *(b"[" * depth + b"]" * depth for depth in (31, 33, 900, 1_000, 1_023, 1_030, 5_000)),
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"null", b"true", b"0x10", b"1_000", b"01", b"-", b"-0", b"1e400"),
    *(b"1e308", b"-1e-400", b"1E+2", b"9" * 19, b"9" * 40, b"9" * 5_000, b"-" + b"1" * 4_301, b"0." + b"3" * 2_000),
    *(b"\0", b"\\u0000", b"\xef\xbb\xbf", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8"),
    *(b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"', b'"', b"\\", b"\n", b"\r\n"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"[]", b"{}", b'{"":0}', b"/**/", b"//", b"'", b'"&key=1"', b'"%00"'),
    *(b'"id":"1",', b'"type":"order",', b'"source":"cs-cart",', b'"products":[],', b'"cart":{},', b'"key":"x",'),
]
#: As much as a broker takes by default; ten times that is tried apart.
LONGEST: Final = 1_048_576
_PLACEHOLDER: Final = "\u2983raw\u2984"
_LONGEST_REPETITION: Final = 100_000  # what is repeated may be repeated again
_JUNK: Final[list[Any]] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**53,
        2**63,
        -(2**63) - 1,
        2**64,
        10**22,
        10**400,
        0.1,
        -0.0,
        1e-300,
        1e308,
        5e-324,
    ),
    *(float("nan"), float("inf"), "", " ", "0", "-0", "1.0", "2.0", "1e3", "9" * 400, "1e999", "NaN", "\0", "\u2028"),
    *("\ud800", "\U0001f600", "a" * 5_000, "é" * 300, "2026-11-21T08:00:00Z", "9999-12-31T23:59:59+14:00", "1e", "+1"),
    *([], {}, [[]], {"": ""}, {"a]": {"[b": 1}}, [None], ["x", {"y": ["z"]}], "optico", "cs-cart", "cart", "order"),
    *(0.5, -1.5, "12,50", ".5", "12.", " 1", " eur ", "Y", "off", 900.0, "null", "undefined", 14.309999999999999),
    *({"3": "12"}, [{"option_name": "a", "value": 1}], [{"option_id": 3, "value": 1}], {"op": 1}, {"user_id": "0"}),
    *(_PLACEHOLDER, _PLACEHOLDER, _PLACEHOLDER),
]


_NAMES: Final = [
    *("unknown", "key", "details", "id", "", "\0", "a" * 200, "products[0]", "specversion", "data", "payload"),
    *("schema", "op", "after", "options", "product_options", "extra", "price", "is_parent_order", "subtotal"),
]


@cache
def originals() -> tuple[bytes, ...]:
    """The vectors, the cases, and a while of the sample traffic."""
    sampled = [sample.value for sample in islice(traffic(1), 400) if sample.value is not None]
    return (*(vector.value for vector in vectors()), *(case.value for case in cases()), *sampled[::4])


def make(seed: int, number: int) -> bytes:
    draw = Random(f"{seed}:{number}")
    record = draw.choice(originals())
    if draw.random() < 0.7:
        record = _changed(draw, record)
    if draw.random() < 0.4:
        for _ in range(draw.choice((1, 1, 2, 4))):
            record = draw.choice(_ON_BYTES)(draw, record)
    return record[:LONGEST]


def _changed(draw: Random, record: bytes) -> bytes:
    """Another event, and mostly JSON still."""
    try:
        whole: dict[str, Any] = {"": orjson.loads(record)}
    except orjson.JSONDecodeError:
        return record
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        container, key = _place(draw, whole)
        draw.choice(_ON_VALUES)(draw, whole, container, key)
    layout = draw.choice(((",", ":"), (", ", ": "), (",\n", ":\t")))
    text = json.dumps(whole.get(""), ensure_ascii=draw.random() < 0.5, separators=layout)
    written = text.encode("utf-8", "surrogatepass")
    while (quoted := json.dumps(_PLACEHOLDER, ensure_ascii=False).encode()) in written:
        written = written.replace(quoted, draw.choice(TOKENS), 1)
    return written.replace(json.dumps(_PLACEHOLDER).encode(), draw.choice(TOKENS))


def _place(draw: Random, node: Any) -> tuple[Any, Any]:
    """A container somewhere in it, and one of its keys."""
    key: Any = ""
    while True:
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner or draw.random() < 0.2:
            return node, key
        node = inner
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))


def _junk(draw: Random) -> Any:
    return copy.deepcopy(draw.choice(_JUNK))


def _replace(draw: Random, _: Any, container: Any, key: Any) -> None:
    container[key] = _junk(draw)


def _remove(_: Random, whole: Any, container: Any, key: Any) -> None:
    if container is not whole:
        del container[key]


def _copy(draw: Random, whole: Any, container: Any, key: Any) -> None:
    other, other_key = _place(draw, whole)
    container[key] = orjson.loads(_dumped(other[other_key]))


def _wrap(draw: Random, _: Any, container: Any, key: Any) -> None:
    for _ in range(draw.choice((1, 1, 30, 31, 32, 33))):
        container[key] = [container[key]] if draw.random() < 0.7 else {"k": container[key]}


def _repeat(draw: Random, _: Any, container: Any, key: Any) -> None:
    times, written = draw.choice((2, 30, 300)), _dumped(container[key])
    if len(written) * times > _LONGEST_REPETITION:
        return
    values = [orjson.loads(written) for _ in range(times)]  # not one value: a change of it would be one of all
    container[key] = values if draw.random() < 0.5 else {str(number): value for number, value in enumerate(values)}


def _add(draw: Random, _: Any, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[draw.choice(_NAMES)] = _junk(draw)
    else:
        container.insert(key, _junk(draw))


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # too deep, too large a number, half a surrogate pair
        return b"null"


_ON_VALUES: Final[list[Callable[[Random, Any, Any, Any], None]]] = [
    _replace,
    _replace,
    _remove,
    _copy,
    _wrap,
    _repeat,
    _add,
]


def _flip(draw: Random, record: bytes) -> bytes:
    place = draw.randrange(len(record) + 1)
    return record[:place] + bytes([draw.randrange(256)]) + record[place + 1 :]


def _insert(draw: Random, record: bytes) -> bytes:
    place = draw.choice((0, len(record), draw.randrange(len(record) + 1)))
    return record[:place] + draw.choice(TOKENS) + record[place:]


def _cut(draw: Random, record: bytes) -> bytes:
    start = draw.randrange(len(record) + 1)
    return record[:start] + record[start + draw.choice((1, 2, 10, len(record))) :]


def _double(draw: Random, record: bytes) -> bytes:
    """Makes duplicate keys of a field now and then."""
    start = draw.randrange(len(record) + 1)
    end = start + draw.choice((1, 10, 100))
    return record[:end] + record[start:end] + record[end:]


def _splice(draw: Random, record: bytes) -> bytes:
    other = draw.choice(originals())
    return record[: draw.randrange(len(record) + 1)] + other[draw.randrange(len(other)) :]


def _twice_a_key(draw: Random, record: bytes) -> bytes:
    """The last one of two equal keys counts."""
    field = draw.choice(
        [b'"id":"7"', b'"id":null', b'"type":"order"', b'"products":0', b'"currency":"eur"', b'"cart":{}']
    )
    return record[:-1] + b"," + field + b"}" if record.endswith(b"}") else record


def _enclose(draw: Random, record: bytes) -> bytes:
    """In an envelope, of which there may be too many."""
    before, after = draw.choice(
        (
            (b"\0\0\0\0\7", b""),
            (b"\xef\xbb\xbf", b""),
            (b'{"specversion":"1.0","id":"1","source":"s","data":', b"}"),
            (b'{"schema":{},"payload":', b"}"),
        )
    )
    if draw.random() < 0.3:
        record = json.dumps(record.decode("utf-8", "replace")).encode()
    return before + record + after


def _recode(draw: Random, record: bytes) -> bytes:
    return record.decode("utf-8", "replace").encode(draw.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")))


_ON_BYTES: Final[list[Callable[[Random, bytes], bytes]]] = [
    *(_flip, _flip, _insert, _insert, _cut, _double, _splice, _twice_a_key, _twice_a_key, _recode, _enclose, _enclose),
]
