"""CONTRIBUTING answers where things are: each file that it names exists, and has what is said to be in it."""

import re

import pytest

from tests.docs.blocks import ROOT

_TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
_FILES = sorted(set(re.findall(r"`((?:worker|tests|helm|docs)/[\w./-]+)`", _TEXT)))
_PARTS = re.findall(r"`((?:worker|tests)/[\w./]+\.py)`: `(\w+)`", _TEXT)


@pytest.mark.parametrize("name", _FILES)
def test_a_named_file_exists(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize(("name", "part"), _PARTS)
def test_a_named_part_is_in_its_file(name: str, part: str) -> None:
    assert re.search(rf"(?:def|class) {part}\b", (ROOT / name).read_text("utf-8"))


def test_there_are_ten_questions() -> None:
    assert len(re.findall(r"^\| Where .*\?", _TEXT, re.MULTILINE)) == 10
    assert len(_PARTS) >= 5
