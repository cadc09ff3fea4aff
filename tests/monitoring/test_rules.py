"""The rules are right as Prometheus reads them, and each alert is shown to fire, and to stay silent."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.monitoring.exposed import KNOWN
from tests.monitoring.promql import labels
from tests.monitoring.rules import ALERTS, FILLED_IN, FOLDER, RULES, RUNBOOK_URL, Rule, write_rules
from tests.monitoring.runbook import PAGE, anchor
from tests.monitoring.tools import program

UNIT = sorted((Path(__file__).parent / "unit").glob("*.yaml"))


def named(rule: Rule) -> str:
    return rule.name


def promtool(*arguments: str, cwd: Path) -> None:
    command = [program("promtool"), *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    return set(map(anchor, re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)))


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    files = write_rules(tmp_path)
    assert files
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, files), cwd=tmp_path)


@pytest.mark.parametrize("unit", UNIT, ids=lambda unit: unit.stem)
def test_alerts_fire_when_they_should_and_only_then(unit: Path, tmp_path: Path) -> None:
    write_rules(tmp_path)
    shutil.copy(unit, tmp_path / "unit.test")
    promtool("test", "rules", "unit.test", cwd=tmp_path)


def test_each_alert_is_shown_to_fire_and_to_stay_silent() -> None:
    shown = [
        (case["alertname"], bool(case.get("exp_alerts")))
        for unit in UNIT
        for test in yaml.safe_load(unit.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
    ]
    assert set(shown) == {(alert.name, fires) for alert in ALERTS for fires in (True, False)}


def test_names_are_used_once() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("alert", ALERTS, ids=named)
def test_each_alert_says_how_bad_it_is_and_what_to_do(alert: Rule) -> None:
    assert alert.name.startswith("OpticoWorker")
    assert alert.labels["severity"] in {"critical", "warning", "info"}
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert page == RUNBOOK_URL
    assert anchor in anchors(PAGE)


@pytest.mark.parametrize("alert", ALERTS, ids=named)
def test_its_texts_name_no_label_that_it_has_not(alert: Rule) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values())))
    assert named <= labels(alert.expr, KNOWN)


def test_the_page_has_the_severity_of_each_alert() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))
    assert rows == {alert.name: alert.labels["severity"] for alert in ALERTS}


def test_the_chart_fills_in_nothing_but_the_known_placeholders() -> None:
    """The files have no templating of their own beyond Prometheus' `{{ $labels.x }}` in texts."""
    placeholders = {word for file in FOLDER.glob("*") for word in re.findall(r"__\w+?__", file.read_text())}
    assert placeholders == set(FILLED_IN)
