"""A redrive that ends half-way, or that the API keeps waiting: what was sent is checked, and a repeat does the rest."""

import json
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.tools import wait_until
from tests.integration.events import cart
from tests.ops.dlq.conftest import Post
from tests.ops.program import KEY, command, environment

LETTERS = 200


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def said(self) -> str:
        return self.err.read_text()

    def wait_said(self, text: str) -> None:
        wait_until(lambda: text in self.said(), f"{text!r} to be said", 30)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(40)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def outcomes(self) -> Counter[str]:
        return Counter(line["outcome"] for line in self.lines())


@contextmanager
def redriving(post: Post, *arguments: str, **variables: str) -> Iterator[Running]:
    with (
        tempfile.NamedTemporaryFile(prefix="redrive-") as out,
        tempfile.NamedTemporaryFile(prefix="redrive-") as err,
        subprocess.Popen(
            command("dlq", "redrive", "--execute", "--json", *arguments),
            env=environment(post.variables | variables),
            stdout=out,
            stderr=err,
        ) as process,
    ):
        try:
            yield Running(process, Path(out.name), Path(err.name))
        finally:
            process.kill()
        assert b"Traceback" not in Path(err.name).read_bytes()
        assert KEY.encode() not in Path(out.name).read_bytes() + Path(err.name).read_bytes()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_checks_what_was_sent_and_a_repeat_does_the_rest(post: Post, how: signal.Signals) -> None:
    post.reject(post.write([cart(str(number)) for number in range(LETTERS)]))

    with redriving(post, "--max-requests-per-second", "40", OPTICO_MAX_CONCURRENCY="4") as running:
        wait_until(lambda: post.api.state().requests >= 60, "some requests", 40)
        post.write([cart(str(number), 2) for number in range(0, LETTERS, 3)])
        running.signal(how)
        assert running.ended() == 1
        said, outcomes = running.said(), running.outcomes()
        done = {line["id"]: line["outcome"] for line in running.lines() if line["outcome"] != "send"}

    assert "stopped: run it again, which is safe" in said
    assert outcomes.total() == LETTERS
    assert 60 <= len(done) < LETTERS, "it was to be stopped half-way"
    assert {id_: post.held()[id_] for id_ in done} == {id_: {"sent": 1, "superseded": 2}[done[id_]] for id_ in done}

    again = post.execute("--max-requests-per-second", "0")

    assert Counter(again.values()) == {"superseded": 67, "sent": 133}
    assert post.held() == {str(number): 1 if number % 3 else 2 for number in range(LETTERS)}


def test_a_redrive_that_was_killed_is_repeated(post: Post) -> None:
    post.reject(post.write([cart(str(number)) for number in range(LETTERS)]))

    with redriving(post, "--max-requests-per-second", "40") as running:
        wait_until(lambda: post.api.state().requests >= 40, "some requests", 40)
        post.write([cart(str(number), 2) for number in range(0, LETTERS, 3)])
        running.signal(signal.SIGKILL)
        assert running.ended() == -signal.SIGKILL

    post.execute("--max-requests-per-second", "0")
    assert post.held() == {str(number): 1 if number % 3 else 2 for number in range(LETTERS)}


def test_a_second_ctrl_c_ends_it_at_once_and_says_what_was_not_checked(post: Post) -> None:
    post.reject(post.write([cart(str(number)) for number in range(3)]))
    post.api.set_faults([{"hang": True}])

    with redriving(post, OPTICO_TIMEOUT_SECONDS="20") as running:
        wait_until(lambda: post.api.state().in_flight == 3, "requests that hang", 30)
        running.signal(signal.SIGINT)
        running.wait_said("once more")
        running.signal(signal.SIGINT)
        assert running.ended() == 1
        assert running.outcomes() == {"failed": 3}
        assert all("not checked" in line["detail"] for line in running.lines())


def test_where_nobody_reads_its_lines_it_stops_and_checks_what_was_sent(post: Post) -> None:
    post.reject(post.write([cart(str(number)) for number in range(LETTERS)]))
    arguments = command("dlq", "redrive", "--execute", "--json", "--max-requests-per-second", "40")

    with subprocess.Popen(
        arguments, env=environment(post.variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = json.loads(process.stdout.readline())
        process.stdout.close()
        said, code = process.stderr.read(), process.wait(40)

    assert (code, b"Traceback" in said) == (1, False)
    assert first["outcome"] == "sent"
    assert 0 < len(post.requested()) < LETTERS
    assert post.api.state().in_flight == 0


def test_it_waits_while_the_api_is_away_and_while_it_refuses_the_key(post: Post, tmp_path: Path) -> None:
    post.reject(post.write([cart(str(number)) for number in range(30)]))
    key = tmp_path / "key"
    key.write_text("sk_fake_old\n")
    post.api.set_faults([{"status": 503}])

    with redriving(post, OPTICO_API_KEY="", OPTICO_API_KEY_FILE=str(key)) as running:
        running.wait_said("requests keep failing")
        assert post.api.state().requests <= 40
        post.api.clear_faults()
        running.wait_said("the API refuses the key")
        assert post.held() == {}
        key.write_text(f"{KEY}\n")
        assert running.ended() == 0
        assert running.outcomes() == {"sent": 30}


def test_a_letter_that_keeps_failing_fails_after_its_attempts(post: Post) -> None:
    post.reject(post.write([cart(str(number)) for number in range(8)]))
    post.api.set_faults([{"id": "1", "status": 500}])

    (failed,) = [
        line
        for line in post.dlq("redrive", "--execute", "--json", WORKER_MAX_ATTEMPTS="1").json_lines
        if line["outcome"] != "sent"
    ]

    assert (failed["id"], failed["outcome"]) == ("1", "failed")
    assert "attempts_exhausted" in failed["detail"]
