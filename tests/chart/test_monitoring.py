"""Rule files and dashboards reach Prometheus and Grafana as they are, with what the values add."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import CHART, LEAST, VALUES, Helm, documents, kinds, one, values_of
from tests.chart.test_promises import copy_of_chart

RULES = """\
groups:
  - name: sample
    interval: 1m
    rules:
      - record: optico_worker:sample
        expr: sum(optico_worker_consumer_lag)
      - alert: OpticoWorkerSample
        expr: |
          optico_worker_sending_paused{reason="outage"} > 0
            and on () count(optico_worker_build_info) >= __MAX_REPLICAS__
        for: 5m
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.reason }} has {{ $value | humanize }}"
          runbook_url: __RUNBOOK_URL__#sample
      - alert: OpticoWorkerOther
        expr: vector(1)
        labels: {severity: warning}
        annotations: {summary: other}
"""
DASHBOARD = '{"uid": "sample", "title": "{{ not a template }}", "panels": []}\n'


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart with these files alone."""
    copy = copy_of_chart(tmp_path)
    for path in (copy / "files").rglob("*.*"):
        path.unlink()
    (copy / "files" / "rules" / "sample.yaml").write_text(RULES, encoding="utf-8")
    (copy / "files" / "dashboards" / "Sample_One.json").write_text(DASHBOARD, encoding="utf-8")
    return copy


def groups(helm: Helm, chart: Path, **values: Any) -> dict[str, Any]:
    rules = {"prometheusRule": {"enabled": True, **values}}
    found = one(helm.render(LEAST, rules, chart=chart), "PrometheusRule")["spec"]["groups"]
    return {group["name"]: group for group in found}


def test_rules_are_shipped_with_what_the_chart_knows(helm: Helm, chart: Path) -> None:
    text = RULES.replace("__RUNBOOK_URL__", "docs/alerts.md").replace("__MAX_REPLICAS__", "2")
    (expected,) = documents(text)[0]["groups"]
    assert groups(helm, chart)["sample"] == expected


@pytest.mark.parametrize(("name", "most"), [("keda", 24), ("hpa", 8), ("static", 3)])
def test_alerts_know_the_most_workers_that_there_may_be(helm: Helm, chart: Path, name: str, most: int) -> None:
    found = helm.render(VALUES / f"{name}.yaml", {"prometheusRule": {"enabled": True}}, chart=chart)
    (group,) = one(found, "PrometheusRule")["spec"]["groups"]
    assert group["rules"][1]["expr"].endswith(f"count(optico_worker_build_info) >= {most}\n")


def test_alerts_get_labels_and_the_address_of_their_runbooks(helm: Helm, chart: Path) -> None:
    values = {"alertLabels": {"team": "shop", "severity": "page"}, "runbookUrl": "https://docs.example.com/alerts"}
    record, sample, other = groups(helm, chart, **values)["sample"]["rules"]
    assert "labels" not in record
    assert sample["labels"] == other["labels"] == {"team": "shop", "severity": "page"}
    assert sample["annotations"]["runbook_url"] == "https://docs.example.com/alerts#sample"


def test_an_alert_can_be_left_out(helm: Helm, chart: Path) -> None:
    rules = groups(helm, chart, disabled=["OpticoWorkerOther"])["sample"]["rules"]
    assert [rule.get("alert") for rule in rules] == [None, "OpticoWorkerSample"]


def test_dashboards_are_shipped_word_for_word(helm: Helm, chart: Path) -> None:
    values = {"dashboard": {"enabled": True, "namespace": "grafana", "annotations": {"grafana_folder": "Shop"}}}
    found = one(helm.render(LEAST, values, chart=chart), "ConfigMap", "-dashboard-sample-one")
    assert found["data"] == {"Sample_One.json": DASHBOARD}
    assert found["metadata"]["namespace"] == "grafana"
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Shop"}


def test_nothing_for_operators_is_created_unasked(helm: Helm, chart: Path) -> None:
    assert not kinds(helm.render(LEAST, chart=chart)) & {"PodMonitor", "PrometheusRule", "ScaledObject"}


def test_every_rule_and_dashboard_of_the_chart_is_shipped(helm4: Helm) -> None:
    found = helm4.render(VALUES / "everything.yaml")
    rules = [rule for group in one(found, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    files = sorted((CHART / "files" / "rules").glob("*.yaml"))
    expected = [rule for path in files for group in values_of(path)["groups"] for rule in group["rules"]]
    assert rules
    assert [rule.get("alert") or rule["record"] for rule in rules] == [
        rule.get("alert") or rule["record"] for rule in expected
    ]
    assert not re.search(r"__[A-Z]+", str(rules))
    dashboards = [name for each in found if each["kind"] == "ConfigMap" for name in each.get("data", {})]
    for path in (CHART / "files" / "dashboards").glob("*.json"):
        assert path.name in dashboards
