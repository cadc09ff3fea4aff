"""Rule files and dashboards reach Prometheus and Grafana as they are, with what the values add."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import CHART, LEAST, VALUES, Helm, documents, kinds, one, values_of
from tests.chart.test_promises import copy_of_chart
from tests.monitoring.tools import program

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


#: Every way in which an expression of ours speaks of a series.
NAMED = """\
groups:
  - name: sample
    rules:
      - record: job:optico_worker_sample:sum
        expr: >-
          sum by (namespace, job) (optico_worker_pending_bytes) / optico_worker_pending_entities
          + rate(optico_worker_requests_total{outcome="delivered"}[5m]) + job:optico_worker_consumer_lag:sum
"""
SCOPED = (
    "sum by (namespace, job) (optico_worker_pending_bytes{%(m)s}) / optico_worker_pending_entities{%(m)s}"
    ' + rate(optico_worker_requests_total{%(m)s, outcome="delivered"}[5m]) + job:optico_worker_consumer_lag:sum{%(m)s}'
)


@pytest.mark.parametrize(
    ("values", "matchers"),
    [
        ({"podMonitor": {"enabled": True}}, 'job="rel-optico-worker", namespace="shop"'),
        ({"prometheusRule": {"selector": {"job": "carts"}}}, 'job="carts"'),
        ({"prometheusRule": {"selector": {"job": 'a $1 "b"'}}}, r'job="a $1 \"b\""'),
    ],
    ids=["by its PodMonitor", "by labels of the user's own", "quoted"],
)
def test_rules_speak_of_their_own_release(helm: Helm, chart: Path, values: Any, matchers: str) -> None:
    (chart / "files" / "rules" / "sample.yaml").write_text(NAMED, encoding="utf-8")
    found = helm.render(LEAST, {"prometheusRule": {"enabled": True}}, values, chart=chart)
    (rule,) = one(found, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert rule["expr"] == SCOPED % {"m": matchers}
    assert rule["record"] == "job:optico_worker_sample:sum"


@pytest.mark.parametrize("values", [{}, {"podMonitor": {"enabled": True}, "prometheusRule": {"selector": {}}}], ids=str)
def test_rules_speak_of_every_worker_without_a_selector(helm: Helm, chart: Path, values: Any) -> None:
    (chart / "files" / "rules" / "sample.yaml").write_text(NAMED, encoding="utf-8")
    found = helm.render(LEAST, {"prometheusRule": {"enabled": True}}, values, chart=chart)
    (rule,) = one(found, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert rule["expr"] == documents(NAMED)[0]["groups"][0]["rules"][0]["expr"]


def test_the_job_that_the_rules_go_by_is_what_the_pod_monitor_gives(helm: Helm) -> None:
    endpoint = one(helm.render(VALUES / "everything.yaml"), "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    first, own = endpoint["relabelings"]
    assert first == {"action": "replace", "targetLabel": "job", "replacement": "rel-carts"}
    assert own["targetLabel"] == "node"


def unit_test(series: dict[str, str], firing: list[str]) -> dict[str, Any]:
    """For promtool: what fires after an hour. The series' names are without their prefix."""
    given = [{"series": f"optico_worker_{name}", "values": values} for name, values in series.items()]
    expected = [{"labels": labels, "value": 1} for labels in firing]
    asked = {"expr": 'sum by (alertname, namespace, job) (ALERTS{alertstate="firing"})', "eval_time": "60m"}
    return {"interval": "1m", "input_series": given, "promql_expr_test": [{**asked, "exp_samples": expected}]}


def release(job: str, assigned: str) -> dict[str, str]:
    """Two workers in the namespace, and a backlog that grows."""
    labels = f'namespace="shop", job="{job}", pod='
    return {
        f'build_info{{{labels}"a"}}': "1x90",
        f'build_info{{{labels}"b"}}': "1x90",
        f'assigned_partitions{{{labels}"a"}}': assigned,
        f'unread_records{{{labels}"a", topic="a", partition="0"}}': "0+50x90",
    }


OURS = 'namespace="shop", job="rel-optico-worker"'
#: The maximum of this release is 2. Of the other one, nobody reads in the first test, and all is well in the second.
TWO_RELEASES = [
    unit_test(
        release("rel-optico-worker", "3x90") | release("other-optico-worker", "0x90"),
        [f'{{alertname="OpticoWorkerAtMaximum", {OURS}}}'],
    ),
    unit_test(release("other-optico-worker", "3x90"), [f'{{alertname="OpticoWorkerNoMembers", {OURS}}}']),
]


def test_a_release_tells_of_itself_alone(helm4: Helm, tmp_path: Path) -> None:
    values = {"replicas": 2, "podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    rules = one(helm4.render(LEAST, values), "PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(json.dumps(rules), encoding="utf-8")
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": TWO_RELEASES}
    (tmp_path / "unit.yaml").write_text(json.dumps(tests), encoding="utf-8")
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "unit.yaml"]):
        tool = [program("promtool"), *command]
        answer = subprocess.run(tool, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr


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


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, True),
        ({"replicas": 0}, False),
        ({"autoscaling": {"kind": "keda", "maxReplicas": 4}}, True),
        ({"autoscaling": {"kind": "keda", "maxReplicas": 4, "minReplicas": 0}}, False),
        ({"autoscaling": {"kind": "keda", "maxReplicas": 4, "keda": {"pausedReplicas": 0}}}, False),
    ],
    ids=str,
)
def test_nobody_is_told_of_workers_that_are_not_wanted(helm: Helm, values: Any, told: bool) -> None:
    found = one(helm.render(LEAST, {"prometheusRule": {"enabled": True}}, values), "PrometheusRule")
    alerts = {rule.get("alert") for group in found["spec"]["groups"] for rule in group["rules"]}
    assert ("OpticoWorkerNoMembers" in alerts) is told
    assert "OpticoWorkerPollLoopStale" in alerts


def alerts(helm: Helm, *values: Any) -> dict[str, Any]:
    """By name, as the chart ships them."""
    found = one(helm.render(LEAST, {"prometheusRule": {"enabled": True}}, *values), "PrometheusRule")
    return {rule["alert"]: rule for group in found["spec"]["groups"] for rule in group["rules"] if "alert" in rule}


def test_silence_is_told_only_where_a_time_is_given_for_it(helm: Helm) -> None:
    quiet = {"OpticoWorkerNoEvents", "OpticoWorkerNoOrders"}
    assert not quiet & set(alerts(helm))
    told = alerts(helm, {"prometheusRule": {"quietAfter": "90m"}})
    for name in quiet:
        assert "[90m] offset 1w" in told[name]["expr"]
        assert "for 90m" in told[name]["annotations"]["description"]


def test_alerts_know_the_bounds_of_the_release(helm: Helm) -> None:
    bounds = {"maxPending": 1000, "maxPendingBytes": 16777216}
    expr = alerts(helm, {"worker": bounds})["OpticoWorkerPausedNearBounds"]["expr"]
    assert "optico_worker_pending_entities / 1000 > 0.7" in expr
    assert "optico_worker_pending_bytes / 16777216 > 0.7" in expr


#: Half of the events are rejected.
REJECTED = {
    "events_consumed_total{namespace='shop', job='a', topic='a'}": "0+10x40",
    "events_rejected_total{namespace='shop', job='a', entity='cart', reason='other_error'}": "0+5x40",
}


@pytest.mark.parametrize(
    ("limit", "said"),
    [(20, ""), (0, " WORKER_REJECTION_LIMIT is 0: sending is never paused, however many are rejected.")],
)
def test_the_alert_about_rejections_says_where_they_never_pause_sending(
    helm4: Helm, tmp_path: Path, limit: int, said: str
) -> None:
    alert = alerts(helm4, {"worker": {"rejectionLimit": limit}})["OpticoWorkerRejections"]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "one", "rules": [alert]}]}), encoding="utf-8")
    expected = {
        "exp_labels": {"namespace": "shop", "job": "a", "severity": "warning"},
        "exp_annotations": {
            **alert["annotations"],
            "description": f"a in shop: 50% of the events of the last 15 minutes will not reach Optico.{said}",
        },
    }
    case = unit_test(REJECTED, []) | {
        "alert_rule_test": [{"eval_time": "30m", "alertname": alert["alert"], "exp_alerts": [expected]}]
    }
    del case["promql_expr_test"]
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "unit.yaml").write_text(json.dumps(tests), encoding="utf-8")
    tool = [program("promtool"), "test", "rules", "unit.yaml"]
    answer = subprocess.run(tool, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
