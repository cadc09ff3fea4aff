"""A soak's report comes back from its file as it was, and says what failed."""

from pathlib import Path

from tests.soak import report
from tests.soak.faults import FAULTS
from tests.soak.run import Result, schedule
from tests.soak.test_judge import FAULTS as DISTURBED
from tests.soak.test_judge import PLAN, steady


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    result = Result(PLAN, steady(), DISTURBED, 1000, 900, ["lost: cart:1"])
    report.save(tmp_path / report.JSON, result)
    assert report.load(tmp_path / report.JSON)[0] == result


def test_it_says_what_is_wrong_and_how_much_each_grew() -> None:
    told = report.section(Result(PLAN, steady(), DISTURBED, 1000, 900, ["lost: cart:1"]), "2026-11-24")
    assert "**Failed:**" in told
    assert "- lost: cart:1" in told
    assert sum(line.startswith("| memory, MB |") for line in told) == 1


def test_half_an_hour_has_every_fault_twice_and_leaves_time_to_judge() -> None:
    timing = schedule(30)
    assert timing.plan.seconds / timing.interval >= 2 * len(FAULTS)
    assert timing.plan.warm_up >= len(FAULTS) * timing.interval
    assert timing.lasting + timing.plan.recovery < 0.75 * timing.interval
