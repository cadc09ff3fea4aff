"""Figures, tables and plots: what is written, and that the page is in step with its figures."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import page, renew
from tests.bench.api import Seen, rate_of
from tests.bench.events import cart, cart_of, sessions, zipf
from tests.bench.figures import Figure, Findings, Goal, Measured, Plot, load, percentile, save
from tests.bench.peers.judge import Event, again, ages, at_once, backwards, covered, lost, stale
from tests.bench.scenarios.collapse import least_requests
from tests.bench.svg import draw
from worker.core import event
from worker.formats import ReadConfig, read

RATE = Figure("reading", "events/s", (80.0, 90.0, 70.0), "bare", (100.0, 100.0, 100.0), Goal("at least", 0.8, "ratio"))
PLOT = Plot("a", "Cost & growth", "n", "µs", {"one": [(1, 2), (10, 3)], "two": []}, log_x=True)


def measured(*figures: Figure) -> Measured:
    found = Findings(list(figures), [PLOT], {"others": [["", "requests"], ["loop", "17"]]})
    return Measured(found, "2026-11-24", 12.0, 3, quick=False, environment={"cores": "2"})


def test_a_figure_is_the_median_of_its_rounds_and_its_ratio_that_of_theirs() -> None:
    assert (RATE.value, RATE.ratio, RATE.met) == (80.0, 0.8, True)
    uneven = Figure("reading", "events/s", (80.0, 40.0, 90.0), "bare", (100.0, 50.0, 300.0), RATE.goal)
    assert (uneven.value, uneven.ratio) == (80.0, 0.8)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("at least", 0.81, "ratio"), False),
        (Goal("at least", 80.0), True),
        (Goal("at least", 80.1), False),
        (Goal("at most", 80.0), True),
        (Goal("at most", 79.9), False),
        (None, None),
    ],
)
def test_a_goal_bounds_the_value_or_the_ratio(goal: Goal | None, met: bool | None) -> None:
    assert Figure("x", "s", RATE.values, "bare", RATE.limits, goal).met is met


def test_a_ratio_without_a_limit_meets_no_goal() -> None:
    assert Figure("x", "s", (1.0,), goal=Goal("at most", 1.0, "ratio")).met is False


def test_figures_come_back_from_json_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    save(path, {"intake": measured(RATE)})
    save(path, {"memory": measured(Figure("idle", "MB", (70.5,)))})
    assert load(path) == {"intake": measured(RATE), "memory": measured(Figure("idle", "MB", (70.5,)))}


def test_the_page_is_filled_between_its_marks_only(tmp_path: Path) -> None:
    folder = tmp_path / "performance"
    save(folder / renew.FIGURES, {"intake": measured(RATE)})
    text = tmp_path / "performance.md"
    text.write_text(
        "By hand.\n<!-- figures: intake -->\nold\n<!-- end -->\nMore.\n<!-- figures: scale -->\n<!-- end -->\n"
    )
    renew.write(folder)
    written = text.read_text()
    assert "| reading | 80.0 events/s | 100 (bare) | 0.80 | ≥ 0.8 of it | yes |" in written
    assert "![Cost & growth](performance/a.svg)" in written
    assert "Not measured yet." in written
    assert "old" not in written
    assert written.startswith("By hand.\n<!-- figures: intake -->\n")
    assert (folder / "a.svg").exists()
    renew.write(folder)
    assert text.read_text() == written


def test_the_page_and_its_plots_are_in_step_with_the_figures() -> None:
    stale_files = [path.name for path, content in renew.files(renew.FOLDER).items() if _text(path) != content]
    assert stale_files == [], "renew them with: python -m tests.bench.renew"


def test_a_goal_that_was_missed_is_told_in_bold() -> None:
    slow = Figure("reading", "events/s", (10.0,), "bare", (100.0,), RATE.goal)
    assert page.table(Findings([slow]))[2].endswith("| **no** |")


@pytest.mark.parametrize(
    ("rounds", "told"),
    [((), "one round"), ((1, 1), "one round"), ((3, 3), "medians of 3 rounds"), ((1, 3), "medians of 1 to 3 rounds")],
)
def test_the_page_tells_how_many_rounds_there_were(rounds: tuple[int, ...], told: str) -> None:
    figures = [Figure(str(number), "s", (1.0,) * number) for number in rounds]
    assert list(page.section(measured(*figures), "performance"))[-1] == f"2026-11-24; {told}; 12 s."


def test_a_plot_is_well_formed_and_always_the_same() -> None:
    drawn = draw(PLOT)
    assert draw(PLOT) == drawn
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Cost & growth" in texts
    assert "two" not in texts


@pytest.mark.parametrize("points", [[(0.0, 0.0)], [(1.0, 5.0), (1.0, 5.0)], [(0.0, -2.0), (3.0, 2.0)]])
def test_flat_lines_and_single_points_can_be_drawn(points: list[tuple[float, float]]) -> None:
    assert "<path" in draw(Plot("a", "t", "x", "y", {"line": points}))


@pytest.mark.parametrize("times", [[], [1.0], [1.0, 1.0]])
def test_requests_that_nobody_followed_have_no_rate(times: list[float]) -> None:
    assert rate_of(times, concurrency=2) == 0.0


def test_the_rate_of_bursts_is_that_of_their_turns() -> None:
    bursts = [turn * 0.5 + n * 0.001 for turn in range(6) for n in range(16)]
    assert rate_of(bursts, concurrency=16) == pytest.approx(32.0)
    assert rate_of([n * 0.01 for n in range(100)], concurrency=4) == pytest.approx(100.0)


def test_a_percentile_is_one_of_the_values() -> None:
    assert (percentile([3, 1, 2], 0.5), percentile([1, 2], 0.99), percentile([7], 0.5)) == (2, 2, 7)


def test_the_least_requests_stab_every_window() -> None:
    assert least_requests([], 0.5) == 0
    assert least_requests([0.0, 0.4, 0.5, 0.6, 2.0], 0.5) == 3


def test_events_have_their_size_and_are_valid() -> None:
    key, value = cart(17, 1_795_531_676_558_779)
    assert (key, len(value)) == (b"cart:17", 300)
    assert isinstance(read(value, ReadConfig()), event.Event)
    assert isinstance(read(cart_of(1, 2, 200)[1], ReadConfig()), event.Event)


def test_sessions_change_each_cart_as_often_as_the_others_and_a_thousand_at_a_time() -> None:
    keys = [key for key, _ in sessions(40, 8, at_once=4)]
    assert [keys.count(b"cart:%d" % n) for n in range(8)] == [5] * 8
    assert set(keys[:20]) == {b"cart:%d" % n for n in range(4)}


def test_zipf_prefers_the_first_and_repeats_itself() -> None:
    first, second = zipf(100, 1.2, seed=3), zipf(100, 1.2, seed=3)
    drawn = [next(first) for _ in range(2000)]
    assert drawn == [next(second) for _ in range(2000)]
    assert drawn.count(0) > drawn.count(1) > drawn.count(20)


EVENTS = [Event("a", 1, 0.0), Event("b", 2, 1.0), Event("a", 3, 2.0)]


def seen(name: str, version: int, arrived: float, taken: float = 0.1) -> Seen:
    return Seen(name, version, arrived, arrived + taken, 200)


def test_a_newer_state_counts_for_the_ones_before() -> None:
    log = [seen("a", 3, 2.5), seen("b", 2, 1.5)]
    assert ages(EVENTS, log, until=9.0) == pytest.approx([2.6, 0.6, 0.6])
    assert covered(EVENTS, log) == 3
    assert (lost(EVENTS, log), stale(EVENTS, log), backwards(log), again(log)) == (0, 0, 0, 0)


def test_what_was_lost_is_found() -> None:
    log = [seen("a", 1, 0.1), Seen("a", 3, 2.1, 0.0, 200), Seen("b", 2, 1.0, 1.1, 503)]
    assert (lost(EVENTS, log), covered(EVENTS, log)) == (2, 1)
    assert ages(EVENTS, log, until=9.0) == pytest.approx([0.2, 8.0, 7.0])


def test_an_older_state_that_is_answered_last_is_found() -> None:
    log = [seen("a", 3, 2.0), seen("a", 1, 2.05), seen("b", 2, 3.0), seen("b", 2, 4.0)]
    assert (lost(EVENTS, log), stale(EVENTS, log), backwards(log), at_once(log), again(log)) == (0, 1, 1, 1, 1)


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
