"""A machine that lacks something is told what it lacks, in one sentence, and keeps nothing half-made."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import programs as others
from tests.producers import tools
from tests.programs import MissingError

NODE, OLD_NODE = {"node": "echo v20.1.0"}, {"node": "echo v16.20.2"}


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Puts these shell scripts on the path, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")

    def put(**scripts: str) -> None:
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(stat.S_IRWXU)

    return put


@pytest.mark.parametrize(
    ("find", "scripts", "said"),
    [
        (tools.php, {}, r"^missing: php \(Debian: apt-get install php-cli\)$"),
        (tools.php, {"php": "echo no such library"}, "missing: librdkafka .*; php said: no such library"),
        (others.node, {"npm": ""}, r"(?s)missing: node .*network was disabled"),
        (others.npm, {"node": ""}, r"(?s)missing: node .* with npm .*network was disabled"),
        (tools.node_modules, OLD_NODE | {"npm": ""}, r"(?s)missing: node .*network was disabled"),
        (tools.node_modules, NODE | {"npm": "echo no network; exit 1"}, "(?s)the Node packages; .*no network"),
    ],
)
def test_what_is_missing_is_named(
    programs: Callable[..., None], tmp_path: Path, find: Callable[[], Any], scripts: dict[str, str], said: str
) -> None:
    programs(**scripts)

    with pytest.raises(MissingError, match=said):
        find()

    kept = (tmp_path / "cache").rglob("*")
    assert {path.name for path in kept if path.is_dir()} <= {"optico-worker", "producers", "wheels"}


def test_packages_are_installed_once(programs: Callable[..., None], tmp_path: Path) -> None:
    programs(**NODE, npm=f"echo >> {tmp_path}/calls; [ -e package-lock.json ] && /bin/mkdir node_modules")

    first, second = tools.node_modules(), tools.node_modules()

    assert first == second
    assert first.is_dir()
    assert (tmp_path / "calls").read_text() == "\n"
