"""What the chart renders is what the worker takes: its settings accept it, its commands know their options."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.chart.pods import environment, own_container, pod_specs
from tests.chart.rendering import CHART, LEAST, VALUES, Document, Helm, one, values_of
from tests.chart.test_matrix import FILES
from worker.cli import cli
from worker.settings import FIELDS, Settings, load

#: Variables without a value of their own: the address is the pod's, and the rest comes of `membership` or from files.
_NOT_A_VALUE = {"WORKER_HTTP_HOST"}


def settings(found: list[Document], pod: Document, folder: Path) -> Settings:
    return load(environment(found, pod, folder))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_workers_settings_accept_what_is_rendered(helm: Helm, tmp_path: Path, path: Path) -> None:
    found = helm.render(path)
    checked = 0
    for name, pod in pod_specs(found):
        loaded = settings(found, pod, tmp_path / name)
        in_clear = ("OPTICO_URL: is http", "KAFKA_SECURITY_PROTOCOL: is SASL_PLAINTEXT")
        assert [warning for warning in loaded.warnings if not warning.startswith(in_clear)] == []
        checked += 1
    assert checked


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_rendered_commands_exist_with_their_options(helm4: Helm, path: Path) -> None:
    for _, pod in pod_specs(helm4.render(path)):
        arguments = own_container(pod)["args"]
        if arguments[0] not in cli.commands:
            pytest.skip(f"this worker has no {arguments[0]} yet")
        command = [sys.executable, "-m", "worker", *arguments, "--help"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        assert "Usage: optico-worker" in answer.stdout


def test_the_charts_defaults_are_the_workers(helm: Helm, tmp_path: Path) -> None:
    found = helm.render(LEAST)
    pod = one(found, "Deployment")["spec"]["template"]["spec"]
    given = environment(found, pod, tmp_path)
    least = {name: given[name] for name in ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPICS", "OPTICO_API_KEY_FILE")}
    assert _plain(load(given)) == _plain(load(least))


def _plain(loaded: Settings) -> dict[str, Any]:
    groups = (loaded.kafka, loaded.optico, loaded.worker)
    return {key: str(value) for group in groups for key, value in group.model_dump().items()}


def test_every_variable_of_the_worker_can_be_set_by_a_value() -> None:
    text = (CHART / "templates" / "_environment.tpl").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([A-Z_]+): [a-z]", text, re.MULTILINE))
    assert listed == set(FIELDS) - _NOT_A_VALUE


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"worker": {"maxPendingBytes": 2**30}, "resources": {"limits": {"memory": "2Gi"}}},
            ("max_pending_bytes", 2**30),
        ),
        ({"worker": {"drainTimeoutSeconds": 40.5}}, ("drain_timeout_seconds", 40.5)),
        ({"worker": {"maxAttempts": 2147483647}}, ("max_attempts", 2147483647)),
        ({"worker": {"collapseWindowMs": 0}}, ("collapse_window_ms", 0)),
    ],
    ids=str,
)
def test_numbers_arrive_as_they_were_given(
    helm: Helm, tmp_path: Path, values: Mapping[str, Any], expected: tuple[str, float]
) -> None:
    found = helm.render(LEAST, values)
    loaded = settings(found, one(found, "Deployment")["spec"]["template"]["spec"], tmp_path)
    name, number = expected
    assert getattr(loaded.worker, name) == number


def test_lists_and_maps_arrive_as_they_were_given(helm: Helm, tmp_path: Path) -> None:
    worker = {
        "orderStatusMap": {"P": "Processed", "Y": "Awaiting call", "10": "Envoyée"},
        "csCartIdFields": ["company_id", "user_id"],
        "idPrefixes": {"shop.carts": "{{ .Release.Name }}-"},
    }
    found = helm.render(LEAST, {"worker": worker, "kafka": {"topics": ["{{ .Release.Namespace }}.carts"]}})
    loaded = settings(found, one(found, "Deployment")["spec"]["template"]["spec"], tmp_path).worker
    assert loaded.order_status_map == worker["orderStatusMap"]
    assert loaded.cs_cart_id_fields == ("company_id", "user_id")
    assert loaded.id_prefixes == {"shop.carts": "rel-"}


def test_credentials_in_the_values_arrive_as_they_were_given(helm: Helm, tmp_path: Path) -> None:
    path = VALUES / "inline.yaml"
    given = values_of(path)
    found = helm.render(path)
    loaded = settings(found, one(found, "Deployment")["spec"]["template"]["spec"], tmp_path)
    assert loaded.optico.api_key.known == {given["optico"]["apiKey"]}
    assert loaded.kafka.sasl_password is not None
    assert loaded.kafka.sasl_password.get_secret_value() == given["kafka"]["sasl"]["password"]
    assert loaded.kafka.ssl_cafile is not None
    assert Path(loaded.kafka.ssl_cafile).read_text() == given["kafka"]["tls"]["ca"]["certificate"]


def test_only_workers_take_a_members_name(helm: Helm, tmp_path: Path) -> None:
    found = helm.render(VALUES / "dry-run.yaml")
    names = {
        name.split("/")[0]: settings(found, pod, tmp_path / name).kafka.group_instance_id
        for name, pod in pod_specs(found)
    }
    assert names == {"StatefulSet": "metadata.name", "Job": None, "Pod": None}


def test_the_workers_program_answers_the_rendered_probes_and_ends_within_its_grace(helm4: Helm, tmp_path: Path) -> None:
    found = helm4.render(
        LEAST, {"kafka": {"bootstrapServers": [f"127.0.0.1:{_free_port()}"]}, "worker": {"httpPort": _free_port()}}
    )
    pod = one(found, "Deployment")["spec"]["template"]["spec"]
    container = own_container(pod)
    with _running(container, environment(found, pod, tmp_path)) as process:
        assert _answer(container, "startupProbe", until=200) == 200
        if socket.has_dualstack_ipv6():
            assert _answer(container, "startupProbe", until=200, pod="[::1]") == 200
        assert _answer(container, "livenessProbe", until=200) == 200
        assert _answer(container, "readinessProbe", until=503) == 503  # there is no broker
        process.send_signal(signal.SIGTERM)
        assert process.wait(pod["terminationGracePeriodSeconds"]) == 0


@contextlib.contextmanager
def _running(container: Document, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "worker", *container["args"]]
    with subprocess.Popen(command, env=inherited | dict(variables), stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(container: Document, probe: str, until: int, pod: str = "127.0.0.1") -> int:
    (port,) = container["ports"]
    get = container[probe]["httpGet"]
    assert get["port"] == port["name"]
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(OSError):
            status = _status(f"http://{pod}:{port['containerPort']}{get['path']}")
            if status == until:
                return status
        assert time.monotonic() < deadline, f"{probe} is not answered with {until}"
        time.sleep(0.05)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (our own)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
