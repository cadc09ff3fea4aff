"""The fault suite: `python -m tests.chaos --kinds broker-killed,worker-killed --seeds 25`."""

import argparse
import signal
import sys
from pathlib import Path

from tests.chaos import scenarios
from tests.chaos.kinds import KINDS
from tests.chaos.planted import BUGS
from tests.chaos.report import keep, kept, report
from tests.chaos.run import Result, run_all


def main() -> int:
    assert scenarios.__all__
    options = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seeds = [options.seed] if options.seed is not None else list(range(options.first, options.first + options.seeds))
    runs = [(name, seed) for name in options.kinds for seed in seeds]
    runs += [(name, seed) for name in KINDS if name not in options.kinds for seed in seeds[: options.others]]
    results = []
    for result in run_all(runs, options.plant, options.jobs):
        results.append(result)
        _say(result, len(results), len(runs))
        if options.results is not None:
            keep(result, options.results)
    if options.report is not None:
        options.report.write_text(report(results if options.results is None else kept(options.results)))
    failed = sum(result.figures is None for result in results)
    for result in results:
        if result.figures is None:
            _print(f"replay: python -m tests.chaos --kinds {result.name} --seed {result.seed}")
    _print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say(result: Result, number: int, of: int) -> None:
    head = f"[{number}/{of}] {result.name} seed {result.seed}: "
    if (figures := result.figures) is None:
        _print(f"{head}FAILED after {result.seconds:.0f} s\n{result.evidence}")
        return
    _print(
        f"{head}ok, {figures.events} events, {figures.requests} requests, {figures.duplicates} duplicates,"
        f" {figures.late} late, {figures.ownerships} assignments, recovered in {figures.recovery:.1f} s,"
        f" longest poll gap {figures.longest_gap:.2f} s, {figures.seconds:.0f} s",
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kinds", type=_kinds, default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds of each kind")
    parser.add_argument("--others", type=int, default=0, help="how many of these seeds of each kind that is not named")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one only: replays a run")
    parser.add_argument("--plant", choices=list(BUGS), help="with this bug in the worker: must fail")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--results", type=Path, help="a file to which each result is added, and of which the report is")
    parser.add_argument("--report", type=Path, help="where to write the report, in Markdown")
    return parser.parse_args()


def _kinds(value: str) -> list[str]:
    names = value.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(KINDS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
