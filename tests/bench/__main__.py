"""Measures, and writes what was found: python -m tests.bench [--only intake,delivery] [--quick] [--report FOLDER]."""

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import page, renew
from tests.bench.bed import Bed
from tests.bench.figures import Findings, Measured, save
from tests.bench.machine import processor
from tests.bench.peers.scenario import run as peers
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.brokers.distribution import kafka_version

ALL: dict[str, Scenario] = {**SCENARIOS, "peers": peers}
ROUNDS = 3


def main() -> int:
    options = _arguments()
    started = time.monotonic()

    def say(line: str) -> None:
        passed = time.monotonic() - started
        sys.stdout.write(f"[{passed // 60:.0f}:{passed % 60:04.1f}] {line}\n")
        sys.stdout.flush()

    say("starting Kafka")
    measured: dict[str, Measured] = {}
    with Bed(say, quick=options.quick, rounds=options.rounds, replayed=options.replayed, beside=options.beside) as bed:
        for name in options.only:
            say(f"== {name}")
            begun = time.monotonic()
            findings = ALL[name](bed)
            measured[name] = _measured(findings, time.monotonic() - begun, options)
            for line in page.table(findings):
                sys.stdout.write(line + "\n")
            for path in filter(None, (options.json, options.report and options.report / renew.FIGURES)):
                save(path, measured)
    say("done")
    if options.report is not None:
        renew.write(options.report)
    missed = [f"{name}: {f.name}" for name, each in measured.items() for f in each.findings.figures if f.met is False]
    for line in missed:
        sys.stdout.write(f"goal missed: {line}\n")
    return 0


def _measured(findings: Findings, seconds: float, options: argparse.Namespace) -> Measured:
    environment = {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "kafka": kafka_version(),
        "kafka-python": version("kafka-python"),
        "pyreqwest": version("pyreqwest"),
    }
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    return Measured(findings, date, round(seconds, 1), options.rounds, options.quick, environment)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", type=_names, default=list(SCENARIOS), help=", ".join(ALL))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="everything small: to see that it works, not to measure")
    parser.add_argument("--replayed", type=int, help="carts in the range of the live replay, 2,000,000 by default")
    parser.add_argument("--beside", type=Path, help="a checkout of another version, whose sending is measured as well")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--report", type=Path, help="the folder of the report: figures, plots, and the page beside it")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


def _names(value: str) -> list[str]:
    names = value.split(",")
    if unknown := [name for name in names if name not in ALL]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(ALL)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
