"""The order in which files go out names files that exist."""

from pathlib import Path

import pytest

from tests.scheduling import COMPUTING, WAITING

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("file", [*WAITING, *COMPUTING])
def test_a_file_with_a_place_in_the_order_exists(file: str) -> None:
    assert (ROOT / file).is_file()


def test_a_file_either_waits_or_computes() -> None:
    assert not WAITING.keys() & COMPUTING.keys()
