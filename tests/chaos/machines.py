"""The state machines of core and engine, for long: `python -m tests.chaos.machines --steps 1000000`.

Runs batches, each of a seed of its own, until that many steps are done; a batch that fails says its seed and, shrunk,
what it did. `--seed` replays one batch. `--plant` runs with a known bug in the worker, which some batch must find.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.core import machine as core
from tests.core import mutants as core_mutants
from tests.core.machine import profile
from tests.engine import machine as engine
from tests.engine import mutants as engine_mutants

STEPS = 100
#: Examples of one seed: the engine's take eight times as long.
MACHINES = [*((each, 200) for each in core.MACHINES), *((each, 50) for each in engine.MACHINES)]
MUTANTS = [*core_mutants.MUTANTS, *engine_mutants.MUTANTS]


def main() -> int:
    options = _arguments()
    started = time.monotonic()
    bug: AbstractContextManager[None] = nullcontext() if options.plant is None else _planted(options.plant)
    batches = 0
    with bug:
        for number in _seeds(options.seed, options.first, options.steps):
            batches += 1
            for machine, examples in MACHINES:
                try:
                    run_state_machine_as_test(seed(number)(machine), settings=profile(examples, STEPS))
                except BaseException:
                    _print(f"FAILED; replay: python -m tests.chaos.machines --seed {number}")
                    raise
            _print(f"seed {number}: {_steps()} steps of {_examples()} examples so far")
    seconds = time.monotonic() - started
    if options.plant is not None:
        _print(f"{options.plant} was not found in {_steps()} steps; a rare one takes more seeds than one")
        return 1
    _print(f"{_steps()} steps, {_examples()} examples, {batches} seeds, {seconds:.0f} s: all invariants hold")
    if options.report is not None:
        options.report.write_text(_report(options.first, batches, seconds))
    return 0


def _planted(name: str) -> AbstractContextManager[None]:
    if name in engine_mutants.MUTANTS:
        return engine_mutants.planted(name)
    return core_mutants.planted(name)


def _steps() -> int:
    return core.TALLY.steps + engine.TALLY.steps


def _examples() -> int:
    return core.TALLY.examples + engine.TALLY.examples


def _seeds(only: int | None, first: int, steps: int) -> Iterator[int]:
    if only is not None:
        yield only
        return
    while _steps() < steps:
        yield first
        first += 1


def _report(first: int, batches: int, seconds: float) -> str:
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    bugs = "\n".join(f"- `{name}`" for name in MUTANTS)
    return f"""<!-- Written by `python -m tests.chaos.machines --report docs/machines.md`: run it again instead of editing. -->

# State machines

The delivery queue is driven by two state machines, without and with a dead-letter topic: seeded sequences of events of two
partitions, one of whose entities comes to both, answers, rejections, poison, failures, time-outs that land late,
outages, letters, moves, crashes, drains, other workers, offsets that go back, clocks that step. After every step the
invariants of [Delivery](delivery.md) are checked, and at rest that nothing is lost and nothing is stale.

A third one drives the engine: two workers of a group in one thread, with the real intake, sending loop, commits, rebalances
and dead letters, among a broker, an API and clocks of its own. Partitions move between them under both kinds of
assignor, processes crash and are back at once or late, commits fail, are answered late or not at all, requests land
late; and the API's key is looked for in each line of the log, and on each page.

{date}, {os.cpu_count()} cores, Python {platform.python_version()}:

- {_steps()} steps, {engine.TALLY.steps} of them of the engine, in {_examples()} examples of at most {STEPS} steps, seeds {first} to {first + batches - 1}; no invariant was broken.
- {seconds:.0f} s on one core, {_steps() / seconds:.0f} steps a second.

`make test` runs the same machines for some seconds, and with each of {len(MUTANTS)} bugs planted in the worker, which
they must find: `test_the_machines_find_a_planted_bug`, `test_the_engine_s_machine_finds_a_planted_bug`.
`python -m tests.chaos.machines --plant BUG` shows how, in few steps. The bugs, by the invariant that they break:

{bugs}
"""  # noqa: E501 - of what is written, no line is longer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.machines", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="at least so many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one only: replays a batch")
    parser.add_argument("--plant", choices=list(MUTANTS), help="with this bug in the worker, to see it found")
    parser.add_argument("--report", type=Path, help="where to write the report, in Markdown")
    return parser.parse_args()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
