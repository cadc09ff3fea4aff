"""The rule files that the chart ships, with what the chart fills in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "helm" / "optico-worker" / "files" / "rules"
RUNBOOK_URL = "https://example.com/alerts"
#: What the chart fills in.
FILLED_IN = {
    "__MAX_REPLICAS__": "4",
    "__MAX_PENDING__": "50000",
    "__MAX_PENDING_BYTES__": "67108864",
    "__QUIET_AFTER__": "2h",
    "__REJECTION_LIMIT__": "20",
    "__RUNBOOK_URL__": RUNBOOK_URL,
}


@dataclass(frozen=True)
class Rule:
    """An alert, or a recorded series."""

    name: str
    expr: str
    alert: bool
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


def write_rules(folder: Path) -> list[Path]:
    """Writes the rule files as Prometheus gets them."""
    written = []
    for source in sorted(FOLDER.glob("*.yaml")):
        target = folder / source.name
        target.write_text(_filled_in(source))
        written.append(target)
    return written


def _filled_in(source: Path) -> str:
    text = source.read_text()
    for placeholder, value in FILLED_IN.items():
        text = text.replace(placeholder, value)
    return text


def _rules() -> Iterator[Rule]:
    for source in sorted(FOLDER.glob("*.yaml")):
        for group in yaml.safe_load(_filled_in(source))["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield Rule(name, rule["expr"], "alert" in rule, rule.get("labels", {}), rule.get("annotations", {}))


RULES = list(_rules())
ALERTS = [rule for rule in RULES if rule.alert]
RECORDS = [rule for rule in RULES if not rule.alert]
