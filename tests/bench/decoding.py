"""What it costs to read and encode one event, by what does it: `python -m tests.bench.decoding`.

The figures behind docs/adr/0006-usual-events-are-decoded-by-msgspec.md.
"""

import json
import sys
import timeit
from collections.abc import Callable
from urllib.parse import urlencode

import orjson

from tests.bench.events import cart
from worker.formats import ReadConfig, encode, fast_path, form, full_path, read

ROUNDS, TIMES = 15, 20_000


def main() -> None:
    value, config = cart(7, 1)[1], ReadConfig()
    event = fast_path.read(value, config, -1)
    if event is None:
        raise ValueError("the event does not take the fast path")
    pairs = form.encode(event.content, "k").pairs()
    ways: dict[str, Callable[[], object]] = {
        "orjson alone": lambda: orjson.loads(value),
        "json alone": lambda: json.loads(value),
        "msgspec's own parser": lambda: fast_path.parse(value),
        "read": lambda: read(value, config),
        "read, the full path": lambda: full_path.read(value, config, -1),
        "encode": lambda: encode(value, config, "k"),
        "the form's body": lambda: form.encode(event.content, "k"),
        "urllib's urlencode": lambda: urlencode(pairs),
    }
    sys.stdout.write(f"an event of {len(value)} bytes, best of {ROUNDS} times {TIMES:,}\n")
    for name, work in ways.items():
        seconds = min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES
        sys.stdout.write(f"{name:30} {seconds * 1e6:6.2f} µs\n")


if __name__ == "__main__":
    main()
