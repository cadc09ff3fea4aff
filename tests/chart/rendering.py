"""The chart, rendered by a real Helm without a cluster."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chart.tools import library

Document = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "optico-worker"
VALUES = Path(__file__).parent / "values"
LEAST = VALUES / "least.yaml"
NEWEST = "1.37.0"
RELEASE, NAMESPACE = "rel", "shop"


class RefusedError(Exception):
    """Helm refused the values; the message is what it said."""


@dataclass(frozen=True)
class Helm:
    """One version of Helm, whose files of its own are in `home`."""

    program: Path
    home: Path

    def render(
        self,
        *values: Path | Mapping[str, Any],
        chart: Path = CHART,
        kubernetes: str = NEWEST,
        options: Sequence[str] = (),
    ) -> list[Document]:
        """All objects that these values give, the later ones winning. Raises RefusedError."""
        return documents(self.text(*values, chart=chart, kubernetes=kubernetes, options=options))

    def text(
        self,
        *values: Path | Mapping[str, Any],
        chart: Path = CHART,
        kubernetes: str = NEWEST,
        options: Sequence[str] = (),
    ) -> str:
        """The same, as Helm prints it."""
        command = ["template", RELEASE, str(chart), "--namespace", NAMESPACE, "--kube-version", kubernetes, *options]
        return self(*command, *self._values(values))

    def notes(self, *values: Path | Mapping[str, Any], chart: Path = CHART) -> str:
        """What an install tells its user. Helm 4 only: 3 asks for a cluster even when it is to install nothing."""
        options = ("--dry-run=client", "--namespace", NAMESPACE)
        said = self("install", RELEASE, str(chart), *options, *self._values(values))
        return said.split("\nNOTES:\n", 1)[1]

    def lint(self, *values: Path | Mapping[str, Any], chart: Path = CHART) -> str:
        """What `helm lint --strict` says. Raises RefusedError."""
        return self("lint", "--strict", str(chart), *self._values(values))

    def __call__(self, *arguments: str) -> str:
        environment = {**os.environ, "HELM_CACHE_HOME": f"{self.home}/cache", "HELM_CONFIG_HOME": f"{self.home}/config"}
        environment |= {"HELM_DATA_HOME": f"{self.home}/data", "KUBECONFIG": f"{self.home}/none"}
        command = [str(self.program), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if answer.returncode != 0:
            raise RefusedError(answer.stderr + answer.stdout)
        return answer.stdout

    def _values(self, values: Sequence[Path | Mapping[str, Any]]) -> Iterator[str]:
        for number, given in enumerate(values):
            path = given
            if not isinstance(path, Path):
                path = self.home / f"values-{number}.json"
                path.write_text(json.dumps(given), encoding="utf-8")
            yield f"--values={path}"


def documents(text: str) -> list[Document]:
    """The objects in YAML. A key that occurs twice in a mapping is an error, as it is for the API server."""
    yaml = library("yaml")

    class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = {key for key in keys if keys.count(key) > 1}
            assert not twice, f"twice in one mapping, {node.start_mark}: {twice}"
            return super().construct_mapping(node, deep)

    return [document for document in yaml.load_all(text, Strict) if document is not None]


def values_of(path: Path) -> Document:
    """A values file."""
    loaded: Document = library("yaml").safe_load(path.read_text(encoding="utf-8"))
    return loaded


def one(found: Sequence[Document], kind: str, suffix: str = "") -> Document:
    """The only object of a kind whose name ends so."""
    matching = [each for each in found if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)]
    assert len(matching) == 1, f"{len(matching)} of {kind} {suffix}"
    return matching[0]


def kinds(found: Sequence[Document]) -> set[str]:
    return {each["kind"] for each in found}
