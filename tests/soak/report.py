"""A soak's report: its samples as JSON, and from them a table and plots for docs/performance.md."""

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import Plot
from tests.bench.page import number, rows
from tests.soak.judge import BOUNDS, Fault, Plan, Sample, allowed, growth, judged
from tests.soak.run import Result

JSON = "soak.json"


def save(path: Path, result: Result) -> None:
    content = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), **asdict(result)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[Result, str]:
    """The result, and its date."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    date = raw.pop("date")
    plan = Plan(**raw.pop("plan"))
    samples = [Sample(**each) for each in raw.pop("samples")]
    faults = [Fault(**each) for each in raw.pop("faults")]
    return Result(plan, samples, faults, **raw), date


def section(result: Result, date: str) -> list[str]:
    """In Markdown, without the plots."""
    calm = judged(result.samples, result.faults, result.plan)
    kinds = Counter(fault.name for fault in result.faults)
    table = [["", "at first", "at last", "growth", "allowed"]]
    for bound in BOUNDS:
        values = [value for sample in calm if (value := bound.of(sample)) is not None]
        grown = growth(calm, bound)
        if grown is None:
            continue
        cells = [number(values[0]), number(values[-1]), f"{grown:+.2g}", f"{allowed(calm, bound):.2g}"]
        table.append([f"{bound.name}, {bound.unit}", *cells])
    looks = f"{len(result.samples)} samples, {len(calm)} of them judged"
    amounts = f"{result.events:,} events, {result.requests:,} requests"
    told = ", ".join(f"{name} {times} times" for name, times in kinds.items())
    verdict = "Nothing lost, nothing stale, nothing grew." if not result.wrong else "**Failed:**"
    return [
        f"{date}: {result.plan.seconds / 60:.0f} minutes, {amounts}, {looks}.",
        f"Faults: {told}.",
        "",
        verdict,
        *(f"- {line}" for line in result.wrong),
        "",
        *rows(table),
    ]


def plots(result: Result) -> list[Plot]:
    every = max(1, len(result.samples) // 200)
    shown = result.samples[::every]

    def line(of: Any) -> list[tuple[float, float]]:
        return [(sample.at / 60, value) for sample in shown if (value := of(sample)) is not None]

    fresh = {"median": line(lambda s: s.fresh_p50), "p99": line(lambda s: s.fresh_p99)}
    return [
        Plot("soak-memory", "Memory", "minutes", "MB", {"resident": line(lambda s: s.resident)}),
        Plot("soak-freshness", "Event to acceptance, faults included", "minutes", "s", fresh, log_y=True),
    ]
