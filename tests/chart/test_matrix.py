"""Every values file of `values/`, on every Kubernetes, through both Helms."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart.pods import pod_specs, variables
from tests.chart.rendering import CHART, VALUES, Document, Helm
from tests.chart.validation import VERSIONS, Validator

FILES = sorted(VALUES.glob("*.yaml"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
#: Files for newer versions alone.
_SINCE = {"zone.yaml": "1.35.0"}


def versions(path: Path) -> tuple[str, ...]:
    return tuple(version for version in VERSIONS if version >= _SINCE.get(path.name, ""))


@pytest.fixture(scope="module")
def validate(kubernetes_validate: Any) -> Validator:
    return Validator(kubernetes_validate)


@every_file
def test_what_is_rendered_is_valid_on_every_kubernetes(helm4: Helm, validate: Validator, path: Path) -> None:
    for version in versions(path):
        found = helm4.render(path, kubernetes=version)
        assert found
        for document in found:
            validate(_in_namespace(document), version)


def _in_namespace(document: Document) -> Document:
    """A client adds the namespace to what a user wrote without one."""
    return {**document, "metadata": {"namespace": "shop", **document["metadata"]}}


@every_file
def test_both_helms_render_the_same(helm4: Helm, helm3: Helm, path: Path) -> None:
    for version in (versions(path)[0], versions(path)[-1]):
        assert helm4.render(path, kubernetes=version) == helm3.render(path, kubernetes=version)


@every_file
def test_the_chart_passes_lint(helm: Helm, path: Path) -> None:
    assert "0 chart(s) failed" in helm.lint(path)


@every_file
def test_no_variable_is_set_twice(helm4: Helm, path: Path) -> None:
    found = helm4.render(path)
    for _, pod in pod_specs(found):
        for container in pod["containers"]:
            names = [name.removesuffix("_FILE") for name, _ in variables(found, container)]
            assert sorted(set(names)) == sorted(names)


@every_file
def test_no_object_has_the_name_of_another(helm4: Helm, path: Path) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in helm4.render(path)]
    assert sorted(set(names)) == sorted(names)


@every_file
def test_every_user_is_told_what_to_do_next(helm4: Helm, path: Path) -> None:
    notes = helm4.notes(path, *_without_cluster(path))
    assert "What do they say?\n    kubectl logs" in notes
    assert "<no value>" not in notes
    assert not re.search(r"\{\{|fake-|\n\n\n", notes)


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ({"replicas": 0}, "replicas is 0: nothing is read"),
        ({"prometheusRule": {"enabled": True}}, "podMonitor.enabled is false: see to it"),
        ({"prometheusRule": {"enabled": True}}, "prometheusRule.runbookUrl is docs/alerts.md: alerts link to nothing"),
        ({"prometheusRule": {"enabled": True}}, "prometheusRule.quietAfter is not set: nobody is told when the shop"),
        ({"worker": {"rejectionLimit": 0}}, "worker.rejectionLimit is 0: sending is never paused"),
        ({}, "prometheusRule.enabled is false: nobody is told"),
    ],
    ids=str,
)
def test_a_user_is_told_what_is_worth_a_look(helm4: Helm, values: dict[str, Any], remark: str) -> None:
    assert f"\n  - {remark}" in helm4.notes(VALUES / "least.yaml", values)
    assert remark not in helm4.notes(VALUES / "everything.yaml", {"kafka": {"clientRack": "b"}})


def _without_cluster(path: Path) -> tuple[dict[str, Any], ...]:
    """An install can't be told a version of Kubernetes; Helm takes one that is too old for these."""
    return ({"kafka": {"rackFromZone": False}},) if path.name in _SINCE else ()


def test_every_template_is_rendered_by_some_file(helm4: Helm) -> None:
    text = "".join(helm4.text(path) for path in FILES)
    rendered = set(re.findall(r"^# Source: optico-worker/templates/(\S+)", text, re.MULTILINE))
    templates = CHART / "templates"
    there = {str(path.relative_to(templates)) for path in templates.rglob("*.yaml")}
    assert there == rendered
