"""The checks of this folder find what they are for."""

import copy
from typing import Any

import pytest

from tests.chart.conftest import library
from tests.chart.pods import variables
from tests.chart.rendering import VALUES, Document, Helm, documents, one
from tests.chart.validation import Validator


@pytest.fixture
def found(helm4: Helm) -> list[Document]:
    return helm4.render(VALUES / "everything.yaml", VALUES / "keda.yaml")


def _with(document: Document, *path: str | int, value: object) -> Document:
    changed = copy.deepcopy(document)
    inner: Any = changed
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "gracePeriod"), 5),
        ("Deployment", ("spec", "replicas"), "two"),
        ("Deployment", ("apiVersion",), "apps/v9"),
        ("Deployment", ("kind",), "Deploymint"),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "intervall"), "30s"),
        ("PodMonitor", ("kind",), "PodMonster"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "exprs"), "vector(1)"),
        ("ScaledObject", ("spec", "maxReplicas"), 5),
        ("ScaledObject", ("spec", "triggers", 0, "metadata", "lagTreshold"), "5"),
        ("ScaledObject", ("spec", "triggers", 0, "metadata", "lagThreshold"), 5),
        ("TriggerAuthentication", ("spec", "secretTargetRef", 0, "secret"), "kafka"),
    ],
    ids=str,
)
def test_an_object_with_one_thing_wrong_is_found(
    found: list[Document], kubernetes_validate: Any, kind: str, path: tuple[str | int, ...], value: object
) -> None:
    validate = Validator(kubernetes_validate)
    document = one(found, kind)
    validate(document, "1.37.0")
    with pytest.raises(AssertionError):
        validate(_with(document, *path, value=value), "1.37.0")


def test_a_field_of_a_newer_kubernetes_is_found_on_an_older_one(helm4: Helm, kubernetes_validate: Any) -> None:
    validate = Validator(kubernetes_validate)
    document = one(helm4.render(VALUES / "hpa.yaml"), "HorizontalPodAutoscaler")
    newer = _with(document, "spec", "behavior", "scaleDown", "tolerance", value="0.05")
    validate(newer, "1.37.0")
    with pytest.raises(AssertionError):
        validate(newer, "1.28.0")


def test_a_key_that_occurs_twice_is_found() -> None:
    library("yaml")
    with pytest.raises(AssertionError, match="twice"):
        documents("data:\n  a: 1\n  a: 2\n")


def test_a_variable_that_is_set_twice_is_seen_twice() -> None:
    config: Document = {"kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"A": "1"}}
    container = {"envFrom": [{"configMapRef": {"name": "config"}}], "env": [{"name": "A", "value": "2"}]}
    assert variables([config], container) == [("A", "1"), ("A", "2")]
