"""A linter of Kubernetes objects finds nothing that is not meant."""

import subprocess
from pathlib import Path

from tests.chart.rendering import Helm
from tests.chart.test_matrix import every_file

#: What is otherwise on purpose, and why.
_MEANT = {
    "container-image-pull-policy": "tags are not moved, and a digest can be given",
    "deployment-has-host-podantiaffinity": "topology spread does it, without refusing to run",
    "statefulset-has-host-podantiaffinity": "the same",
    "pod-networkpolicy": "networkPolicy.enabled is the user's choice: brokers' ports are not known to the chart",
    "deployment-has-poddisruptionbudget": "pdb.enabled is the user's choice",
    "deployment-replicas": "one worker is enough for a quiet topic",
}
#: Of a single file.
_MEANT_OF = {
    "bare": (
        "container-resources",
        "container-security-context-user-group-id",
        "container-ephemeral-storage-request-and-limit",
    ),
}
_ONLY_OURS: dict[str, list[str]] = {"extraContainers": [], "extraInitContainers": []}


@every_file
def test_the_linter_finds_nothing_that_is_not_meant(helm4: Helm, kube_score: Path, tmp_path: Path, path: Path) -> None:
    rendered = tmp_path / "all.yaml"
    rendered.write_text(helm4.text(path, _ONLY_OURS), encoding="utf-8")
    options = [f"--ignore-test={name}" for name in (*_MEANT, *_MEANT_OF.get(path.stem, ()))]
    command = [str(kube_score), "score", "--output-format=ci", "--ignore-container-cpu-limit", *options, str(rendered)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "[OK]" in answer.stdout
    assert [line for line in answer.stdout.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))] == []
