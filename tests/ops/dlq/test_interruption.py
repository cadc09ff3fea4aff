"""A redrive that ends half-way: no letter is lost, and none goes twice."""

import signal
import subprocess
from collections import Counter
from typing import Any

import pytest

from tests.brokers.tools import wait_until
from tests.integration.events import cart
from tests.ops.dlq.conftest import Post, Write, copies_are_written
from tests.ops.program import command, environment

LETTERS = 600


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_stopped_half_way_and_run_again_every_letter_has_gone_back_once(post: Post, how: signal.Signals) -> None:
    post.reject(post.write([cart(str(number)) for number in range(LETTERS)]))

    with subprocess.Popen(
        command("dlq", "redrive", "--execute"),
        env=environment(post.variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: post.end() > LETTERS, "the first letter to be back", 40)
        process.send_signal(how)
        _, said = process.communicate(timeout=30)
    back = post.end() - LETTERS

    assert process.returncode == (-how if how is signal.SIGKILL else 1)
    assert 0 < back < LETTERS, "it was to be stopped half-way"
    assert how is signal.SIGKILL or said.endswith("not finished: run it again to go on\n")

    again = post.redrive("--execute")

    copies = Counter(record.key for record in post.records(start=LETTERS))
    assert copies == {f"cart:{number}".encode(): 1 for number in range(LETTERS)}
    assert Counter(outcome for _, outcome in again)["redriven"] == LETTERS - back


def test_the_second_ctrl_c_does_not_come_between_a_copy_and_the_look_behind_it(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1")]))
    newer = cart("1", 2)

    def impatient(write: Write) -> Any:
        post.write([newer])
        future = write()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return future

    copies_are_written(monkeypatch, impatient)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        answer = post.dlq("redrive", "--execute")
    finally:
        signal.signal(signal.SIGINT, before)

    assert answer.code == 1
    assert post.values()[-1] == newer.value
