"""What a machine lacks is said in two lines, with one command; in CI nothing may be lacking."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKING = {"php": "echo found", "prometheus": "", "promtool": "", "curl": ""}


def say(folder: Path, *arguments: str, ci: str = "", **scripts: str) -> tuple[int, list[str]]:
    """The exit code and the lines where these programs are on the path, and nothing else."""
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    answer = subprocess.run(
        [sys.executable, "-m", "tests.left_out", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": str(folder), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    return answer.returncode, answer.stdout.splitlines()


def test_a_machine_that_has_all_of_it_is_told_nothing(tmp_path: Path) -> None:
    assert say(tmp_path, ci="true", **WORKING) == (0, [])


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_what_is_lacking_is_named_with_the_command_that_brings_it_and_fails_in_ci(
    tmp_path: Path, ci: str, code: int
) -> None:
    answer, lines = say(tmp_path, ci=ci)
    assert answer == code
    said, command = lines
    assert all(f"({name} is missing)" in said for name in ("PHP with librdkafka", "Prometheus", "curl"))
    assert command == "what is missing comes with: apt-get install php-cli librdkafka1 prometheus curl"


def test_php_that_does_not_find_librdkafka_does_not_count(tmp_path: Path) -> None:
    _, lines = say(tmp_path, **WORKING | {"php": "echo 'no such library'"})
    assert lines[-1] == "what is missing comes with: apt-get install php-cli librdkafka1"


def test_the_packages_alone_can_be_asked_for(tmp_path: Path) -> None:
    assert say(tmp_path, "--packages", ci="true") == (0, ["php-cli librdkafka1 prometheus curl"])
