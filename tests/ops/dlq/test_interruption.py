"""A redrive that ends half-way: no letter is lost, and none goes twice."""

import signal
import subprocess
from collections import Counter

import pytest

from tests.brokers.tools import wait_until
from tests.integration.events import cart
from tests.ops.dlq.conftest import Post
from tests.ops.program import command, environment

LETTERS = 600


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
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
