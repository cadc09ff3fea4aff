"""The dashboard is what its generator writes, and follows Grafana's conventions."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.board import BOARD, PANELS, VARIABLES
from tests.monitoring.rules import ROOT


def generate(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)


def test_it_is_what_the_generator_writes() -> None:
    result = generate(ROOT / "helm" / "dashboard.py", "--check")
    assert result.returncode == 0, result.stderr


def test_a_stale_one_is_noticed_and_renewed(tmp_path: Path) -> None:
    script = tmp_path / "dashboard.py"
    shutil.copy(ROOT / "helm" / "dashboard.py", script)
    result = generate(script, "--check")
    assert result.returncode == 1
    assert "optico-worker.json is stale; renew it with: python helm/dashboard.py" in result.stderr
    assert generate(script).returncode == 0
    assert generate(script, "--check").returncode == 0


def test_it_is_found_again_and_not_edited_by_mistake() -> None:
    assert BOARD["uid"] == "optico-worker"
    assert BOARD["editable"] is False
    assert BOARD["title"]
    assert "optico-worker" in BOARD["tags"]
    assert "id" not in BOARD, "ids are the Grafana's that it is imported into"


def test_the_data_source_and_the_filters_are_variables() -> None:
    assert list(VARIABLES) == ["datasource", "namespace", "job", "pod", "topic"]
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["datasource"]["query"] == "prometheus"
    for name in list(VARIABLES)[1:]:
        variable = VARIABLES[name]
        assert variable["label"]
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["datasource"]["uid"] == "${datasource}"


def test_rows_are_in_the_order_of_interest() -> None:
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Freshness", "Flow", "Target", "Kafka", "Saturation"]


def test_panels_are_told_apart_by_id_and_title() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_query_is_filtered_and_fits_any_resolution(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        expr = target["expr"]
        selectors = expr.count("{")
        assert expr.count('namespace=~"$namespace"') == expr.count('job=~"$job"') == selectors > 0
        assert expr.count('pod=~"$pod"') == selectors or "job:" in expr or "job_topic:" in expr
        assert expr.count("rate(") + expr.count("increase(") == expr.count("[$__r")


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
