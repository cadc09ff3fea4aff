"""What a measurement says: figures with their limit and goal, and lines for a plot. As JSON, and back."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Goal:
    """A bound on the figure itself, or on its ratio to the limit."""

    sense: Literal["at least", "at most"]
    bound: float
    of: Literal["value", "ratio"] = "value"


@dataclass(frozen=True)
class Figure:
    """One value a round. `limits` are those of the same rounds: what is possible, or what a peer does."""

    name: str
    unit: str
    values: tuple[float, ...]
    limit: str = ""
    limits: tuple[float, ...] = ()
    goal: Goal | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def limit_value(self) -> float | None:
        return statistics.median(self.limits) if self.limits else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios."""
        if not self.limits or 0 in self.limits:
            return None
        return statistics.median(v / m for v, m in zip(self.values, self.limits, strict=True))

    @property
    def met(self) -> bool | None:
        """None: there is no goal."""
        if self.goal is None:
            return None
        value = self.value if self.goal.of == "value" else self.ratio
        if value is None:
            return False
        return value >= self.goal.bound if self.goal.sense == "at least" else value <= self.goal.bound


@dataclass(frozen=True)
class Plot:
    """Lines over x. `name` is the file's, without ending."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Points]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Findings:
    """What a scenario brings home. `tables` are rows of text under a head, for what is no figure."""

    figures: list[Figure] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A scenario's findings, and when and on what they were made."""

    findings: Findings
    date: str
    seconds: float
    rounds: int
    quick: bool
    environment: Mapping[str, str]


def save(path: Path, measured: Mapping[str, Measured]) -> None:
    """Scenarios that the file has already and this run has not stay as they are."""
    known = load(path) if path.exists() else {}
    content = {name: asdict(each) for name, each in {**known, **measured}.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Measured]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {name: _measured(each) for name, each in content.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _measured(raw: dict[str, Any]) -> Measured:
    found = raw.pop("findings")
    figures = [
        Figure(
            **{
                **each,
                "values": tuple(each["values"]),
                "limits": tuple(each["limits"]),
                "goal": Goal(**each["goal"]) if each["goal"] else None,
            }
        )
        for each in found["figures"]
    ]
    plots = [
        Plot(**{**each, "lines": {name: [(x, y) for x, y in points] for name, points in each["lines"].items()}})
        for each in found["plots"]
    ]
    return Measured(findings=Findings(figures, plots, found["tables"]), **raw)
