"""What the command refuses before it asks anybody: exit code 2, and in words."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from worker.cli import cli

SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "KAFKA_TOPICS": "carts", "OPTICO_API_KEY": "sk_fake_0123"}


OURS = ("KAFKA_", "OPTICO_", "WORKER_")


def invoke(*arguments: str, **settings: str | None) -> tuple[int, str]:
    absent: dict[str, str | None] = {name: None for name in os.environ if name.startswith(OURS)}
    result = CliRunner().invoke(cli, ["replay", *arguments], env=absent | SETTINGS | settings)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "exactly one of --to-datetime"),
        (["--to-earliest", "--to-latest"], "not --to-earliest, --to-latest"),
        (["--to-earliest", "--shift-by", "0"], "not --to-earliest, --shift-by"),
        (["--to-datetime", "2026-11-21T08:00:00"], "no time zone"),
        (["--by-duration", "6h"], "no duration"),
        (["--to-offset", "carts:1"], "not TOPIC:PARTITION:OFFSET"),
        (["--to-offset", "carts:1:2", "--partition", "1"], "--partition can't be combined"),
        (["--to-earliest", "--from", "earliest"], "--from can't be combined with --to-earliest"),
        (["--to-earliest", "--id", "cart:1"], "it is for --alongside"),
        (["--alongside"], "needs --from"),
        (["--alongside", "--from", "earliest", "--execute"], "--execute can't be combined with --alongside"),
        (["--alongside", "--from", "earliest", "--to-latest"], "--to-latest can't be combined with --alongside"),
        (["--alongside", "--from", "earliest", "--id", "cart:"], "names no cart or order"),
        (["--alongside", "--from", "08:00"], "no date and time"),
        (
            ["--alongside", "--from", "2026-11-22T08:00:00Z", "--to", "2026-11-21T08:00:00Z"],
            "--to lies before --from",
        ),
        (["--alongside", "--from", "earliest", "--max-requests-per-second", "-1"], "-1"),
        (["--alongside", "--from", "earliest", "--max-requests-per-second", "inf"], "inf"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_contradicts_itself_is_bad_usage(arguments: list[str], words: str) -> None:
    code, said = invoke(*arguments)
    assert code == 2
    assert words in said
    assert "Traceback" not in said


def test_a_reset_needs_no_api_key_and_a_replay_alongside_does() -> None:
    code, said = invoke("--alongside", "--from", "earliest", OPTICO_API_KEY=None)
    assert code == 2
    assert "OPTICO_API_KEY" in said
    code, said = invoke("--to-earliest", OPTICO_API_KEY=None, KAFKA_TOPICS=None)
    assert code == 2
    assert "KAFKA_TOPICS" in said
    assert "OPTICO_API_KEY" not in said


def test_brokers_that_can_not_be_reached_are_said() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | SETTINGS
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "replay", "--to-earliest"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 1
    assert "Kafka" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "sk_fake" not in ended.stderr
