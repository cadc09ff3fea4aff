"""The image is built from the Dockerfile as it is, and its root is run as a container engine would run it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.brokers.tools import produce, wait_until
from tests.image.buildah import BASE, Buildah
from tests.image.conftest import ROOT
from tests.image.container import Container, Image, container
from tests.integration.events import cart
from worker.sandbox.api import Sandbox
from worker.sandbox.broker import EmbeddedBroker

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

KEY = "sk_fake_0123456789abcdef"
UNCHECKED = b"\x01\0\0\0"  # PEP 552
WORKER = "opt/optico-worker"
#: What comes on top of the base (bytes); the budget leaves room for the next versions of what we build on.
AT_MOST = 120_000_000


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink() and path.is_file())


def sources(image: Image) -> list[Path]:
    return list((image.root / WORKER / "lib").rglob("*.py"))


def test_it_says_what_it_is_and_runs_the_worker_unless_told_otherwise(image: Image) -> None:
    prefix = "org.opencontainers.image."
    labels = image.configuration["Labels"]
    assert image.configuration["Entrypoint"] == ["optico-worker"]
    assert image.configuration["Cmd"] == ["run"]
    assert labels[prefix + "title"] == "optico-worker"
    assert labels[prefix + "licenses"] == "Apache-2.0"
    assert labels[prefix + "version"] == "1.2.3"
    assert labels[prefix + "revision"] == "abc"
    assert labels[prefix + "base.name"] == BASE
    assert labels[prefix + "description"]


def test_its_user_is_a_number_and_not_root(image: Image) -> None:
    user, _, group = image.configuration["User"].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_nothing_of_the_worker_belongs_to_its_user(image: Image) -> None:
    paths = [path.lstat() for path in (image.root / WORKER).rglob("*") if not path.is_symlink()]
    assert paths
    assert {(found.st_uid, found.st_gid) for found in paths} == {(0, 0)}
    assert not [found for found in paths if found.st_mode & 0o022]


def test_everything_is_compiled_for_a_file_system_that_can_not_be_written(image: Image) -> None:
    compiled = {path.name.partition(".")[0]: path for path in (image.root / WORKER).rglob("worker/__pycache__/*.pyc")}
    assert {"__main__", "app", "cli"} <= set(compiled)
    for source in sources(image):
        (bytecode,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*[0-9].pyc")
        assert bytecode.read_bytes()[4:8] == UNCHECKED, source


def test_neither_pip_nor_a_compiler_nor_the_tests_are_shipped(image: Image) -> None:
    packages = {path.name for path in (image.root / WORKER).glob("lib/*/site-packages/*")}
    assert {"worker", "kafka"} <= packages
    assert not packages & {"pip", "setuptools", "hatchling", "tests", "ruff", "pytest"}
    assert not list((image.root / WORKER / "bin").glob("pip*"))
    assert not list(image.root.glob("usr/bin/*gcc*"))
    assert not (image.root / "build").exists()


def test_it_is_not_larger_than_it_must_be(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    own, whole = size(image.root / WORKER), size(image.root)
    with capsys.disabled():
        print(f"\nthe image: {own / 1e6:.0f} MB on top of a base of {(whole - own) / 1e6:.0f} MB")  # noqa: T201
    assert own < AT_MOST


def test_the_build_is_given_nothing_that_it_does_not_copy(buildah: Buildah, tmp_path: Path) -> None:
    """A key or a cache that lies about in the folder does not get into the image."""
    everything = tmp_path / "Dockerfile"
    everything.write_text("FROM scratch\nCOPY . /\n")
    buildah.build(ROOT, "context:test", "--file", str(everything))
    context = buildah.mount("context:test")
    files = {path.relative_to(context) for path in context.rglob("*") if path.is_file()}
    assert {path.parts[0] for path in files} == {"LICENSE", "README.md", "pyproject.toml", "requirements", "worker"}
    assert {path.name for path in files if path.parts[0] == "requirements"} == {"build.txt", "run.txt"}
    assert not [path for path in files if path.suffix == ".pyc"]


def test_other_commands_take_the_place_of_run(image: Image) -> None:
    """As Kubernetes' `args` do."""
    schema = image.run("schema")
    assert schema.returncode == 0, schema.stderr
    assert json.loads(schema.stdout)["$schema"]
    assert "sandbox" in image.run("sandbox").stderr


def test_without_configuration_it_says_what_it_lacks(image: Image) -> None:
    result = image.run()
    assert result.returncode == 2
    assert "KAFKA_BOOTSTRAP_SERVERS" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with Sandbox(keys={KEY}) as sandbox:
        yield sandbox


def settings(broker: EmbeddedBroker, api: Sandbox) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_TOPICS": "image",
        "KAFKA_ASSIGNOR": "range",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "OPTICO_URL": api.url,
        "OPTICO_API_KEY": KEY,
        "WORKER_COLLAPSE_WINDOW_MS": "3600000",
        "WORKER_HTTP_HOST": "127.0.0.1",
        "WORKER_HTTP_PORT": "0",
    }


def get(running: Container, path: str) -> tuple[int, str]:
    port = next(json.loads(line)["http_port"] for line in running.log.splitlines() if "http_port" in line)
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_works_as_nobody_on_a_read_only_root_and_drains_on_sigterm(
    image: Image, embedded: EmbeddedBroker, api: Sandbox
) -> None:
    """What waits for its window at SIGTERM is sent, and the exit code is 0, as process 1 too."""
    embedded.create_topic("image")
    produce(embedded.bootstrap, "image", [cart(str(number)) for number in range(50)])
    with container(image, **settings(embedded, api)) as running:
        wait_until(lambda: "http_port" in running.log, "the worker to start", 30)
        wait_until(lambda: "optico_worker_pending_entities 50.0" in get(running, "/metrics")[1], "50 carts", 30)
        wait_until(lambda: get(running, "/readyz")[0] == 200, "the worker to be ready", 30)
        assert get(running, "/healthz")[0] == 200
        assert running.users() == ["65532"] * 4
        assert running.capabilities() == ["0" * 16]
        assert os.statvfs(f"/proc/{running.pid}/root").f_flag & os.ST_RDONLY
        assert running.files("/tmp") == []  # noqa: S108
        assert not api.records()
        assert running.stop() == 0
        assert '"left_uncommitted":0' in running.log
    assert len(api.records()) == 50
