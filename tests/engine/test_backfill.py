"""A start without committed offsets: what waits is said once, and only where something waits."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.engine.test_hot_path import Kept
from worker.core.state import Partition
from worker.engine.backfill import Backfill
from worker.ports import LogEnd

P0, P1 = Partition("carts", 0), Partition("carts", 1)
DAY = 1_732_176_000_000  # 2024-11-21T08:00:00Z


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as said:
        yield said


def first(offset: int, timestamp: int) -> Kept:
    return Kept(offset, b"", b"", timestamp=timestamp)


def test_it_says_how_many_since_when_how_long_and_both_ways_out(lines: list[Any]) -> None:
    backfill = Backfill()
    backfill.begin([P0, P1], 0.0)
    ends = {P0: LogEnd(110, 110), P1: LogEnd(50, 50)}
    backfill.read(P0, first(10, DAY + 60_000))
    backfill.tell(ends, {P0: 12, P1: 0}, 3.0, 1.0)
    assert lines == [], "the other partition's first record is not known yet"
    backfill.read(P1, first(0, DAY))
    backfill.read(P1, first(2, DAY + 5))
    for now in (2.0, 3.0):
        backfill.tell(ends, {P0: 30, P1: 4}, 3.0, now)
    (line,) = lines
    assert (line["log_level"], line["records"], line["seconds_at_most"]) == ("warning", 150, 50)
    assert line["since"] == "2024-11-21T08:00:00+00:00"
    assert "--to-latest --execute" in line["to_do"]
    assert "KAFKA_AUTO_OFFSET_RESET=latest" in line["to_do"]


def test_where_nothing_waits_nothing_is_said(lines: list[Any]) -> None:
    """An empty topic, and a start with `latest`."""
    backfill = Backfill()
    backfill.begin([P0, P1], 0.0)
    backfill.tell({P0: LogEnd(0, 0), P1: LogEnd(50, 50)}, {P0: 0, P1: 50}, 3.0, 1.0)
    backfill.read(P1, first(50, DAY))
    backfill.tell({P0: LogEnd(0, 0), P1: LogEnd(52, 52)}, {P0: 0, P1: 52}, 3.0, 99.0)
    assert lines == []


def test_a_partition_that_went_does_not_keep_the_others_from_being_said(lines: list[Any]) -> None:
    backfill = Backfill()
    backfill.begin([P0, P1], 0.0)
    backfill.read(P0, first(0, DAY))
    backfill.tell({P0: LogEnd(9, 9)}, {P0: 2}, None, 1.0)
    assert [(line["records"], line["seconds_at_most"]) for line in lines] == [(9, None)]


def test_a_rate_that_is_not_known_yet_is_waited_for(lines: list[Any]) -> None:
    backfill = Backfill()
    backfill.begin([P0], 0.0)
    backfill.read(P0, first(0, DAY))
    for now, rate in ((1.0, 0.0), (2.0, 3.0)):
        backfill.tell({P0: LogEnd(9, 9)}, {P0: 2}, rate, now)
    assert [line["seconds_at_most"] for line in lines] == [3]


def test_one_that_does_not_come_is_not_waited_for_without_end(lines: list[Any]) -> None:
    backfill = Backfill()
    backfill.begin([P0, P1], 0.0)
    backfill.read(P0, first(0, DAY))
    for now in (1.0, 11.0):
        backfill.tell({P0: LogEnd(9, 9), P1: LogEnd(9, 9)}, {P0: 2, P1: 0}, 0.5, now)
    assert [line["records"] for line in lines] == [9]
