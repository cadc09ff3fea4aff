"""What kube-linter would say: the checks that it has on by default, held here, as it can't be had everywhere.

Held by other tests of this folder: `test_promises` (drop-net-raw-capability, docker-sock, env-var-secret for Secrets,
host-ipc, host-network, host-pid, mismatching-selector, no-read-only-root-fs, privilege-escalation-container,
privileged-container, run-as-non-root, sensitive-host-mounts), `test_matrix` (duplicate-env-var, no-extensions-v1beta),
`test_refusals` (pdb-max-unavailable, pdb-min-available) and `test_linter` (unset-cpu-requirements and
unset-memory-requirements, but for a limit of CPU, which would only slow a worker down).

Two are against its advice, on purpose: a finished Job has no time to live (job-ttl-seconds-after-finished), because the
next upgrade would bring it back and run it again; and workers are kept apart by topology spread, which does not refuse
to run (no-anti-affinity).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chart.pods import own_container, pod_specs
from tests.chart.rendering import LEAST, Document, Helm
from tests.chart.test_matrix import every_file

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_SECRET = re.compile(r"(?i)secret|password|token|api_?key")


def complaints(found: Sequence[Document]) -> Iterator[str]:
    """What kube-linter would find, by the names of its checks."""
    accounts = {each["metadata"]["name"] for each in found if each["kind"] == "ServiceAccount"}
    for _, pod in pod_specs(found):
        yield from _of_pod(pod, accounts)
        yield from _of_container(own_container(pod))
    templates = [each["spec"]["template"] for each in found if each["kind"] in {"Deployment", "StatefulSet"}]
    for each in found:
        if each["kind"] == "Service":
            yield from _of_service(each["spec"], templates)
        if each["kind"] == "PodDisruptionBudget" and "unhealthyPodEvictionPolicy" not in each["spec"]:
            yield "pdb-unhealthy-pod-eviction-policy"


def _of_pod(pod: Document, accounts: set[str]) -> Iterator[str]:
    if "serviceAccount" in pod:
        yield "deprecated-service-account-field"
    if pod["serviceAccountName"] not in accounts | {"default"}:
        yield "non-existent-service-account"
    if "sysctls" in pod["securityContext"]:
        yield "unsafe-sysctls"


def _of_container(container: Document) -> Iterator[str]:
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
    for probe in _PROBES:
        port = container[probe]["httpGet"]["port"] if probe in container else None
        if port is not None and port not in ports and port not in ports.values():
            yield f"{probe.removesuffix('Probe')}-port"
    if 22 in ports.values():
        yield "ssh-port"
    if not re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"].rpartition("/")[2]):
        yield "latest-tag"
    for variable in container["env"]:
        if _SECRET.search(variable["name"]) and not variable["name"].endswith("_FILE") and "value" in variable:
            yield "env-var-secret"


def _of_service(spec: Document, templates: Sequence[Document]) -> Iterator[str]:
    chosen = [each for each in templates if spec["selector"].items() <= each["metadata"]["labels"].items()]
    if not chosen:
        yield "dangling-service"
    named = {port["name"] for each in chosen for port in own_container(each["spec"])["ports"]}
    if not {port["targetPort"] for port in spec["ports"]} <= named:
        yield "invalid-target-ports"


@every_file
def test_kube_linter_would_have_nothing_to_say(helm4: Helm, path: Path) -> None:
    assert list(complaints(helm4.render(path))) == []


def _planted(complaint: str, found: Sequence[Document]) -> None:
    """Makes it true of the StatefulSet, its Service or its budget."""
    by_kind = {each["kind"]: each["spec"] for each in found if "spec" in each}
    pod, service = by_kind["StatefulSet"]["template"]["spec"], by_kind["Service"]
    container = own_container(pod)
    match complaint:
        case "deprecated-service-account-field":
            pod["serviceAccount"] = "default"
        case "non-existent-service-account":
            pod["serviceAccountName"] = "none"
        case "unsafe-sysctls":
            pod["securityContext"]["sysctls"] = [{"name": "net.core.somaxconn", "value": "1"}]
        case "ssh-port":
            container["ports"].append({"name": "ssh", "containerPort": 22})
        case "latest-tag":
            container["image"] = "registry.example.com:5000/shop/optico-worker"
        case "env-var-secret":
            container["env"].append({"name": "OPTICO_API_KEY", "value": "fake"})
        case "dangling-service":
            service["selector"] = {"app": "another"}
        case "invalid-target-ports":
            service["ports"][0]["targetPort"] = "metrics"
        case "pdb-unhealthy-pod-eviction-policy":
            del by_kind["PodDisruptionBudget"]["unhealthyPodEvictionPolicy"]
        case _:
            container[complaint.replace("-port", "Probe")]["httpGet"]["port"] = "metrics"


@pytest.mark.parametrize(
    "complaint",
    [
        "deprecated-service-account-field",
        "non-existent-service-account",
        "unsafe-sysctls",
        "startup-port",
        "liveness-port",
        "readiness-port",
        "ssh-port",
        "latest-tag",
        "env-var-secret",
        "dangling-service",
        "invalid-target-ports",
        "pdb-unhealthy-pod-eviction-policy",
    ],
)
def test_what_it_would_say_is_said(helm4: Helm, complaint: str) -> None:
    found = helm4.render(LEAST, {"membership": "static"})
    _planted(complaint, found)
    assert complaint in list(complaints(found))
