"""Batches that are small on the wire and would fill the memory."""

import shlex
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.brokers.tools import Compression, Record, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import WorkerProcess, worker
from tests.ops.program import optico

Stages = Callable[..., Stage]

BOMB = Record(b"cart:bomb", b" " * 70_000_000, partition=0)


def bomb(s: Stage, compression: Compression = "zstd") -> None:
    """Seventy megabytes in some kilobytes."""
    s.produce([BOMB], compression=compression, max_request_size=100_000_000)


def carts(s: Stage, partition: int, *ids: str) -> None:
    s.produce([replace(cart(one), partition=partition) for one in ids])


def paused(w: WorkerProcess) -> float:
    return w.metrics()["intake_paused{reason=too_large}"]


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_batch_that_is_too_large_pauses_its_partition_until_it_is_stepped_over(
    stage: Stages, compression: Compression
) -> None:
    s = stage(partitions=2)
    carts(s, 0, "before")
    bomb(s, compression)
    carts(s, 0, "after")
    with worker(**s.settings()) as w:
        (line,) = wait_until(lambda: w.logged("a batch is too large"), "the line that names it", 60)
        carts(s, 1, "other")
        wait_until(lambda: s.committed() == {0: 1, 1: 1}, "all but the partition to be committed", 30)
        assert paused(w) == 1
        assert {held for _, held in s.held()} == {"before", "other"}
        assert (line["topic"], line["partition"], line["offset"]) == (s.topic, 0, 1)
        assert w.stop() == 0
    program, *arguments = shlex.split(line["next"].partition("run: ")[2])
    assert program == "optico-worker"
    assert optico(*arguments, variables=s.settings()).code == 0
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert paused(w) == 0
        assert {held for _, held in s.held()} == {"before", "other", "after"}
        assert w.stop() == 0


def test_a_bomb_within_the_bound_is_read_like_any_other_record(stage: Stages) -> None:
    """Fifty megabytes that are no event: rejected, and what comes after it is sent."""
    s = stage()
    s.produce([replace(BOMB, value=b" " * 50_000_000)], compression="zstd", max_request_size=100_000_000)
    carts(s, 0, "after")
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.metrics()["events_rejected_total{entity=unknown,reason=malformed_json}"] == 1
        assert {held for _, held in s.held()} == {"after"}
        assert w.stop() == 0
