"""Who follows an alert at night finds a query that works, what is normal, and words that the log really has."""

import pytest

from tests.monitoring.exposed import KNOWN
from tests.monitoring.promql import problems
from tests.monitoring.rules import ALERTS, ROOT
from tests.monitoring.runbook import LOGGED, QUERIES, SECTIONS, Section, queries

SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "worker").rglob("*.py")))


def test_each_section_is_for_an_alert() -> None:
    linked = {alert.annotations["runbook_url"].partition("#")[2] for alert in ALERTS}
    assert {section.anchor for section in SECTIONS} == linked


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_it_begins_with_a_query_and_says_what_is_normal(section: Section) -> None:
    first = section.steps[0]
    assert first.startswith("`")
    assert queries(first)
    assert "ormal is" in first
    assert len(section.steps) > 1


@pytest.mark.parametrize("query", QUERIES)
def test_it_names_what_the_worker_exposes(query: str) -> None:
    assert list(problems(query, KNOWN)) == []


@pytest.mark.parametrize("words", LOGGED)
def test_what_the_log_is_said_to_say_it_says(words: str) -> None:
    assert words in SOURCE


def test_there_is_something_to_look_at() -> None:
    assert len(SECTIONS) > 8
    assert len(QUERIES) > 12
    assert len(LOGGED) > 3
