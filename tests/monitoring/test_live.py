"""Every expression runs on a real Prometheus that scrapes a real worker, and returns data."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.board import QUERIES, Query
from tests.monitoring.conftest import Watched
from tests.monitoring.exposed import EXPOSED, KNOWN, awaited
from tests.monitoring.promql import parts
from tests.monitoring.rules import ALERTS, RECORDS, Rule
from tests.monitoring.runbook import QUERIES as STEPS


@pytest.mark.parametrize("query", [each for each in QUERIES if not awaited(each.expr)], ids=lambda query: query.where)
def test_panels_have_data(watched: Watched, query: Query) -> None:
    assert watched.prometheus.ask(query.expr)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_series_are_recorded(watched: Watched, record: Rule) -> None:
    samples = watched.prometheus.ask(record.name)
    assert samples
    assert all(set(sample["metric"]) - {"__name__"} == set(KNOWN[record.name]) for sample in samples)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_what_alerts_compare_has_data(watched: Watched, alert: Rule) -> None:
    """Most of them don't fire in half a minute, but each number that they look at is there."""
    watched.prometheus.ask(alert.expr)
    # Nobody has watched for a week, or over a whole minute.
    compared = [re.sub(r" offset \w+", "", part).replace(":1m]", ":1s]") for part in parts(alert.expr)]
    assert compared
    there = [part for part in compared if not awaited(part)]
    assert [part for part in there if not watched.prometheus.ask(part)] == []


@pytest.mark.parametrize("query", [step for step in STEPS if not awaited(step)])
def test_what_the_runbook_asks_has_an_answer(watched: Watched, query: str) -> None:
    assert watched.prometheus.ask(query)


def test_the_outage_was_on_its_way_to_an_alert(watched: Watched) -> None:
    pending = 'max_over_time(ALERTS{alertname="OpticoWorkerSendingPaused", alertstate="pending"}[5m])'
    samples = watched.prometheus.ask(pending)  # one for each kind that failed
    assert samples
    for sample in samples:
        assert sample["metric"]["severity"] == "critical"
        assert sample["metric"]["namespace"] == "shop"


def test_the_running_worker_exposes_what_names_are_checked_against(watched: Watched) -> None:
    families = text_string_to_metric_families(watched.worker.get("/metrics")[1])
    found: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    assert found == {name: set(labels) for name, labels in EXPOSED.items()}
