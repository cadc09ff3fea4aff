"""What is said when the broker's program can't be had, and how often it is fetched when it can."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.brokers.distribution import MissingError, install


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that programs are looked for in, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def java(folder: Path, version: str) -> None:
    program(folder, "java", f"""echo 'openjdk version "{version}"' >&2""")


@pytest.mark.usefixtures("tools")
def test_a_missing_java_is_named_with_its_package() -> None:
    with pytest.raises(MissingError, match=r"^missing: java 17 \(Debian: apt-get install openjdk-17-jre-headless\)$"):
        install()


@pytest.mark.parametrize(("version", "said"), [("11.0.2", "11"), ("1.8.0_402", "8")])
def test_a_java_that_is_too_old_is_named(tools: Path, version: str, said: str) -> None:
    java(tools, version)
    with pytest.raises(MissingError, match=rf"^missing: java 17 .* is java {said}$"):
        install()


def test_a_missing_maven_is_named_with_its_package(tools: Path) -> None:
    java(tools, "17.0.1")
    with pytest.raises(MissingError, match=r"^missing: mvn \(Debian: apt-get install maven\)$"):
        install()


def test_what_maven_says_is_passed_on_and_nothing_is_left_behind(tools: Path, tmp_path: Path) -> None:
    java(tools, "21")
    program(tools, "mvn", "echo 'no route to host'; exit 1")
    with pytest.raises(MissingError, match="no route to host"):
        install()
    assert [path.name for path in (tmp_path / "cache" / "optico-worker").iterdir()] == ["kafka.lock"]


def test_two_that_need_the_jars_at_once_fetch_them_once(tools: Path, tmp_path: Path) -> None:
    java(tools, "17.0.1")
    fetched = tmp_path / "fetched"
    create = 'for part in "$@"; do case $part in *Directory=*) /bin/mkdir "${part#*=}";; esac; done'
    program(tools, "mvn", f"echo once >> {fetched}\n{create}")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: install(), range(2))
    assert first == second
    assert first.jars.is_dir()
    assert fetched.read_text() == "once\n"


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_without_java_the_tests_are_skipped_except_in_ci(tools: Path, ci: str, outcome: str) -> None:
    one = "tests/brokers/test_kafka.py::test_a_group_that_nobody_knows_has_nothing"
    environment = {name: value for name, value in os.environ.items() if name != "KAFKA_TEST_BOOTSTRAP_SERVERS"}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", one],
        cwd=Path(__file__).parents[2],
        env=environment | {"CI": ci, "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in answer.stdout
    assert "missing: java 17" in answer.stdout
