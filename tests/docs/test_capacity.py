"""The worked example is worked out."""

import math
import re

import pytest

from tests.docs.blocks import ROOT
from worker.settings import FIELDS

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
WINDOW = FIELDS["WORKER_COLLAPSE_WINDOW_MS"].default / 1000
CONCURRENCY = FIELDS["OPTICO_MAX_CONCURRENCY"].default
_ROWS = re.findall(
    r"^\| (.*) \| ([\d,]+) \| ([\d,]+) \| ([\d.,]+) \| ([\d,]+) \| (\d+) \| ([\d,]+) carts: ([\d.]+) (s|min) \|$",
    PAGE,
    re.MULTILINE,
)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def requests(events: float, entities: float, window: float, latency: float) -> float:
    return events / (1 + events / entities * max(window, latency))


def workers(rate: float, events: float, latency: float, concurrency: int) -> int:
    return max(2, math.ceil(rate * latency / (0.8 * concurrency)), math.ceil(events / 10_000))


def test_there_are_examples_and_the_defaults_are_those_of_the_code() -> None:
    assert len(_ROWS) == 4
    assert f"(*W* = {WINDOW:g} s, *C* = {CONCURRENCY})" in PAGE


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_a_row_follows_from_the_formulas(row: tuple[str, ...]) -> None:
    events, entities, rate, limit, count, changed = (number(cell) for cell in row[1:7])
    latency = 0.4 if "400 ms" in row[0] else 0.05
    exact = requests(events, entities, WINDOW, latency)

    assert rate == pytest.approx(exact, rel=0.005)
    if "small" not in row[0]:  # whose limit is the default
        assert limit == pytest.approx(1.5 * exact, rel=0.005)
    assert count == workers(exact, events, latency, CONCURRENCY)
    speed = min(limit, count * CONCURRENCY / latency)
    assert number(row[7]) * {"s": 1, "min": 60}[row[8]] == pytest.approx(changed / (speed - exact), rel=0.02)


def test_what_is_said_below_the_table() -> None:
    slow = requests(2_000, 1_000, WINDOW, 0.4)

    assert f"to 128, and {workers(slow, 2_000, 0.4, 128)} workers do" in PAGE
    assert f"requests a second {requests(2_000, 1_000, 2.0, 0.05):.0f})" in PAGE
