"""Nothing names a metric, a label or a label's value that the worker doesn't expose."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitoring.board import QUERIES, Query
from tests.monitoring.exposed import EXPOSED, KNOWN
from tests.monitoring.promql import labels, problems
from tests.monitoring.rules import ROOT, RULES, Rule
from worker.adapters.metrics import HELP, PREFIX

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "helm").rglob("*.md"))]
#: Histograms are spoken of as a whole.
WHOLE = {f"{PREFIX}{name}" for name in HELP}
VALUES = {value for known in EXPOSED.values() for values in known.values() for value in values or ()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_name_what_the_worker_exposes(rule: Rule) -> None:
    assert list(problems(rule.expr, KNOWN)) == []


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_panels_name_what_the_worker_exposes(query: Query) -> None:
    assert list(problems(query.expr, KNOWN)) == []
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels(query.expr, KNOWN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_what_the_worker_exposes(page: Path) -> None:
    assert list(wrong(page.read_text())) == []


@pytest.mark.parametrize(
    "expr",
    [
        "optico_worker_event_lag",
        'rate(optico_worker_requests_total{result="delivered"}[5m])',
        'optico_worker_sending_paused{reason="outtage"}',
        'optico_worker_rebalances_total{kind=~"revoked|lots"}',
        "sum by (topic) (optico_worker_pending_bytes)",
        "optico_worker_pending_bytes and on (reason) optico_worker_build_info",
        'optico_worker_event_delivery_seconds_bucket{le="7.0"}',
    ],
)
def test_a_wrong_name_is_noticed(expr: str) -> None:
    assert len(list(problems(expr, KNOWN))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "look at `optico_worker_pending_entity`",
        'look at `optico_worker_retries_total{reasn="timeout"}`',
        'look at `optico_worker_retries_total{reason="time"}`',
        "look at `job:optico_worker_unread_records:max`",
        "look at `pending_entitys`",
        "grep optico_worker_event_s_",
    ],
)
def test_a_wrong_name_on_a_page_is_noticed(text: str) -> None:
    assert len(list(wrong(text))) == 1


def wrong(text: str) -> Iterator[str]:
    """What a page names that there is not: by the prefix, or nearly a metric's name."""
    for name, _, selector in re.findall(r"\b((?:\w+:)?optico_worker_\w+(?::\w+)?)(\{([^}]*)\})?", text):
        if name.endswith("_") and any(known.startswith(name) for known in KNOWN):
            continue  # what is looked for in a list of them
        if name not in KNOWN and name not in WHOLE:
            yield f"no metric {name}"
        elif selector:
            series = name if name in KNOWN else f"{name}_bucket"
            yield from problems(f"{series}{{{selector}}}", KNOWN)
    for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text):
        nearest = difflib.get_close_matches(word, HELP, n=1, cutoff=0.85)
        if nearest and word not in HELP and word not in VALUES:
            yield f"no metric {word}; {nearest[0]}?"
