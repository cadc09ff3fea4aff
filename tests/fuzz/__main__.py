"""Fuzzing of read and encode: `python -m tests.fuzz --inputs 1000000`. `--seed S --number N` replays one input."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.inputs import make
from tests.fuzz.large import LARGE
from tests.fuzz.run import (
    ANY,
    ENCODE_BYTE,
    MOST_MEMORY,
    READ_BYTE,
    Figures,
    Large,
    config_of,
    fuzz,
    judge,
    large,
    own_peak,
)

_ROUND = 20_000
_MB = 1e6


def main() -> int:
    options = _arguments()
    if options.number is not None:
        record = make(options.seed, options.number)
        _print(repr(record))
        _print(repr(judge(record, config_of(options.number))))
        return 0
    started, figures = time.monotonic(), Figures()
    for first in range(0, options.inputs, _ROUND):
        fuzz(options.seed, range(first, min(first + _ROUND, options.inputs)), figures)
        _print(f"{figures.inputs} inputs, slowest {figures.slowest[0] * 1000:.1f} ms, {own_peak() / _MB:.0f} MB")
    seconds, memory = time.monotonic() - started, own_peak()
    found = [large(name) for name in LARGE]
    for each in found:
        _print(f"{each.name}: {each.outcome}, {each.seconds:.2f} s, {each.memory / _MB:.0f} MB")
    if options.report is not None:
        options.report.write_text(_report(options.seed, figures, found, seconds, memory))
    return 0


def _report(seed: int, figures: Figures, found: Sequence[Large], seconds: float, memory: int) -> str:
    slow, number, size = figures.slowest
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    kinds = ", ".join(f"{count} {name}" for name, count in figures.outcomes.most_common())
    rows = "\n".join(
        f"| {each.name} | {each.bytes / _MB:.1f} | {each.outcome} | {each.seconds:.2f} | {each.memory / _MB:.0f} |"
        for each in found
    )
    return f"""<!-- Written by `python -m tests.fuzz --report docs/fuzzing.md`: run it again instead of editing. -->

# Fuzzing

Real events, changed at random, are read and, where they are valid, encoded as requests: fields replaced, removed,
copied, wrapped and repeated; huge numbers, NaN, half surrogate pairs, NUL, byte order marks, invalid UTF-8, equal keys,
deep nesting; bytes flipped, cut, doubled and spliced. No input may end in anything but an event, a skipped record or a
rejection whose message holds nothing of the record, smuggle a field into the request, or be read in two ways by the
fast path and the full one. None may cost more than
{ANY} s and, for each of its bytes, {READ_BYTE * 1e6:g} µs to be read and {ENCODE_BYTE * 1e6:g} µs in all.
`python -m tests.fuzz --seed {seed} --number N` replays one; `make test` runs some thousands:
`test_no_input_raises_or_costs_more_than_its_size_allows`.

{date}, {os.cpu_count()} cores, Python {platform.python_version()}:

- {figures.inputs} inputs of seed {seed} in {seconds:.0f} s on one core, no exception: {kinds}.
- {figures.bytes / figures.inputs:.0f} bytes in the mean, {figures.largest} at most.
- {figures.cpu / figures.inputs * 1e6:.0f} µs of CPU time in the mean; the slowest, number {number}, took {slow * 1000:.0f} ms for {size} bytes.
- The process's memory peaked at {memory / _MB:.0f} MB.

Records of ten megabytes (a broker takes one by default), each in a process of its own; two shapes whose requests are a
hundred times as large as the record are of one megabyte. Memory is what it takes beside the record, at its peak; more
than {MOST_MEMORY:g} times the record's size is an error.

| record | MB | outcome | CPU s | memory, MB |
|---|---|---|---|---|
{rows}
"""  # noqa: E501 - of what is written, no line is longer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, help="shows this input and what becomes of it")
    parser.add_argument("--report", type=Path, help="where to write the report, in Markdown")
    return parser.parse_args()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
