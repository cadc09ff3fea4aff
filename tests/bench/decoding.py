"""What it costs to parse, check and encode one event, by what does it: `python -m tests.bench.decoding`.

The figures behind docs/adr/0006-usual-events-are-decoded-by-msgspec.md.
"""

import json
import sys
import timeit
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec
import orjson

from tests.bench.events import cart
from worker.core.event import Defaults
from worker.formats import decode, encode, form, native, pairs, quick, thorough

ROUNDS, TIMES = 15, 20_000


def main() -> None:
    value, defaults = cart(7, 1)[1], Defaults()
    parameters = pairs(value, defaults)[1]
    ways: dict[str, Callable[[], object]] = {
        "orjson alone": lambda: orjson.loads(value),
        "json alone": lambda: json.loads(value),
        "orjson, then pydantic-core": lambda: native.CART.validator.validate_python(orjson.loads(value)),
        "pydantic-core's own parser": lambda: native.CART.validator.validate_json(value),
        "orjson, then msgspec.convert": lambda: msgspec.convert(orjson.loads(value), quick.Cart),
        "msgspec's own parser": lambda: quick.parse(value),
        "decode": lambda: decode(value, defaults),
        "decode, the long way": lambda: thorough(value, defaults),
        "encode": lambda: encode(value, defaults),
        "the form's body": lambda: form.body(parameters),
        "urllib's urlencode": lambda: urlencode(parameters),
    }
    sys.stdout.write(f"an event of {len(value)} bytes, best of {ROUNDS} times {TIMES:,}\n")
    for name, work in ways.items():
        seconds = min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES
        sys.stdout.write(f"{name:30} {seconds * 1e6:6.2f} µs\n")


if __name__ == "__main__":
    main()
