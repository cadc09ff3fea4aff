"""The report of a run of the fault suite."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from statistics import median

from tests.chaos.kinds import KINDS
from tests.chaos.run import Result
from tests.chaos.world import Figures

_HEAD = """<!-- Written by `python -m tests.chaos --report docs/chaos.md`: run it again instead of editing. -->

# Fault suite

Each run has a real Kafka, a stand-in for the API, seeded traffic, workers as processes, and a ledger outside of them:
what the topic holds, what the API was sent and answered, in which order and when it took effect, each single commit of
the group, and the dead letters. A run passes when nothing is lost and nothing is stale at rest, all was sent in order,
every commit passed only what was settled by then and none went back, a note for the next owner stood beside the offset
whenever a request started, dead letters are exactly the rejected records,
what is committed is the log's end, pending and in flight are back to 0, every worker is ready again and ends with the
code that it should, and duplicates are explained by failures and moves.
`python -m tests.chaos --kinds KIND --seed SEED` replays a run; `tests/chaos/test_chaos.py` proves with planted bugs
that the suite turns red.
"""


def keep(result: Result, file: Path) -> None:
    """Adds it to the file, as a line of JSON."""
    with file.open("a") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def kept(file: Path) -> list[Result]:
    """What the file holds; of runs with the same kind and seed the last."""
    found = {}
    for line in file.read_text().splitlines():
        values = json.loads(line)
        figures = values.pop("figures")
        result = Result(figures=None if figures is None else Figures(**figures), **values)
        found[result.name, result.seed] = result
    return list(found.values())


def report(results: Iterable[Result]) -> str:
    """Markdown."""
    results = sorted(results, key=lambda result: (list(KINDS).index(result.name), result.seed))
    failed = [result for result in results if result.figures is None]
    figures = [result.figures for result in results if result.figures is not None]
    kinds = {result.name for result in results}
    duplicates, requests = sum(f.duplicates for f in figures), sum(f.requests for f in figures)
    share = f"{100 * duplicates / requests:.1f} %" if requests else "none"
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    lines = [
        _HEAD,
        f"{date}: {len(results)} runs of {len(kinds)} kinds; {len(figures)} passed, {len(failed)} failed.",
        f"{sum(f.events for f in figures)} events, {requests} requests, {duplicates} of them duplicates ({share}).",
        "",
        "Late: requests that took effect after their exchange had ended. Recovered: from the end of the fault until",
        "all was at rest, traffic included; median and longest. Gap: the longest between two turns of the poll loop.",
        "",
        *_table(results),
    ]
    if failed:
        lines += ["", "Failed: " + ", ".join(f"`{result.name}` seed {result.seed}" for result in failed) + "."]
    return "\n".join(lines) + "\n"


def _table(results: Sequence[Result]) -> list[str]:
    lines = [
        "| kind | what happens | runs | failed | events | requests | duplicates | late | recovered, s | gap, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, group in groupby(results, key=lambda result: result.name):
        runs = list(group)
        figures = [run.figures for run in runs if run.figures is not None]
        recoveries = [figure.recovery for figure in figures]
        times = f"{median(recoveries):.1f}, {max(recoveries):.1f}" if recoveries else "-"
        sums = [sum(getattr(f, field) for f in figures) for field in ("events", "requests", "duplicates", "late")]
        gap = f"{max((f.longest_gap for f in figures), default=0.0):.1f}"
        row = [f"`{name}`", KINDS[name].about, len(runs), len(runs) - len(figures), *sums, times, gap]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return lines
