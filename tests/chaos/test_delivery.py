"""The page about delivery names tests and kinds of fault that exist, and all of the latter."""

import re
from pathlib import Path

import pytest

from tests.chaos import scenarios
from tests.chaos.kinds import KINDS

assert scenarios.__all__
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "delivery.md").read_text()
FAULTS = PAGE.split("## Faults\n")[1]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in [path.stem, *re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE)]
}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_a_test_that_the_page_names_exists(name: str) -> None:
    assert name in TESTS


def test_every_kind_of_fault_has_its_line() -> None:
    table = FAULTS.split("## Not promised")[0]
    named = [name for line in table.splitlines() for name in re.findall(r"`([a-z0-9-]+)`", _cell(line, 2))]
    assert sorted(named) == sorted(KINDS)


@pytest.mark.parametrize("point", re.findall(r"^- (.*?)(?=^- |^\n|\Z)", PAGE, re.DOTALL | re.MULTILINE))
def test_every_point_names_what_backs_it(point: str) -> None:
    names = re.findall(r"`([a-z0-9_-]+)`", point)
    assert any(name in TESTS or name in KINDS for name in names), point


def _cell(line: str, number: int) -> str:
    cells = line.split("|")
    return cells[number] if len(cells) > number else ""
