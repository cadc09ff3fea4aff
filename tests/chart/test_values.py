"""The values, their schema and their table say the same."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import library
from tests.chart.rendering import CHART, ROOT, values_of

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
#: Kubernetes' own objects in the values, by their names in its API.
KUBERNETES = {
    "affinity": "core.v1.Affinity",
    "container": "core.v1.Container",
    "dnsConfig": "core.v1.PodDNSConfig",
    "egressRule": "networking.v1.NetworkPolicyEgressRule",
    "envFromSource": "core.v1.EnvFromSource",
    "envVar": "core.v1.EnvVar",
    "hostAlias": "core.v1.HostAlias",
    "ingressRule": "networking.v1.NetworkPolicyIngressRule",
    "metric": "autoscaling.v2.MetricSpec",
    "peer": "networking.v1.NetworkPolicyPeer",
    "podSecurityContext": "core.v1.PodSecurityContext",
    "resourceClaim": "core.v1.ResourceClaim",
    "securityContext": "core.v1.SecurityContext",
    "toleration": "core.v1.Toleration",
    "topologySpread": "core.v1.TopologySpreadConstraint",
    "volume": "core.v1.Volume",
    "volumeMount": "core.v1.VolumeMount",
}
_CHECK_ANOTHER = """\
import pathlib, runpy, sys
sys.exit(runpy.run_path(sys.argv[1])["main"](["--check"], pathlib.Path(sys.argv[2])))
"""


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for name, inner in schema.get("definitions", {}).items():
        yield from nodes(inner, f"#{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


def test_readme_and_schema_are_renewed() -> None:
    library("yaml")
    command = [sys.executable, str(ROOT / "helm" / "generate.py"), "--check"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_stale_table_is_noticed(tmp_path: Path) -> None:
    library("yaml")
    for name in ("values.yaml", "values.schema.json", "README.md"):
        (tmp_path / name).write_text((CHART / name).read_text(encoding="utf-8"), encoding="utf-8")
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    (tmp_path / "values.yaml").write_text(text.replace("replicas: 2", "replicas: 3"), encoding="utf-8")
    command = [sys.executable, "-c", _CHECK_ANOTHER, str(ROOT / "helm" / "generate.py"), str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "README.md is stale" in answer.stderr


def test_every_object_is_closed_and_every_value_has_a_type() -> None:
    for path, schema in nodes(SCHEMA):
        assert schema.keys() & {"type", "enum", "anyOf", "$ref"}, f"{path} has no type"
        if "properties" in schema:
            assert schema["additionalProperties"] is False, f"{path} is open"


def test_the_schema_has_the_values_and_no_others() -> None:
    library("yaml")
    assert dict(_missing(values_of(CHART / "values.yaml"), SCHEMA)) == {}
    assert set(SCHEMA["properties"]) - {"global", "enabled"} == set(values_of(CHART / "values.yaml"))


def _missing(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Where values and schema differ, wherever the schema is one of ours with fixed names."""
    for name in schema.get("properties", {}).keys() ^ values.keys():
        if path not in {"", ".resources"}:
            yield f"{path}.{name}", "is in one of them alone"
    for name, inner in schema.get("properties", {}).items():
        if "properties" in inner and isinstance(values.get(name), dict):
            yield from _missing(values[name], inner, f"{path}.{name}")


@pytest.mark.parametrize("name", KUBERNETES)
def test_what_is_kubernetes_own_has_the_fields_of_its_newest_version(kubernetes_validate: Any, name: str) -> None:
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.37.0-local-strict"
    known = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    fields = set(known[f"io.k8s.api.{KUBERNETES[name]}"]["properties"])
    ours = SCHEMA["definitions"][name]["properties"]
    assert set(ours) == fields - ({"labelSelector"} if name == "topologySpread" else set())
