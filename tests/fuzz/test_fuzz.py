"""Some thousands of hostile records; `python -m tests.fuzz` makes a million of them."""

import pytest

from tests.fuzz.inputs import make
from tests.fuzz.large import LARGE
from tests.fuzz.run import Figures, fuzz, large


def test_no_input_raises_or_costs_more_than_its_size_allows() -> None:
    figures = Figures()
    fuzz(7, range(4000), figures)
    # Neither all rubbish nor all harmless: each way out is taken by many.
    usual = {"as it should be", "repaired", "invalid_event", "malformed_json"}
    assert set(figures.outcomes) == usual | {"skipped", "payload_too_large"}
    assert all(figures.outcomes[name] > 200 for name in usual)


def test_an_input_is_the_same_again() -> None:
    assert [make(7, number) for number in range(50)] == [make(7, number) for number in range(50)]


@pytest.mark.parametrize("name", ["one long text", "one long number as text", "equal keys", "too deep"])
def test_ten_megabytes_cost_no_more_than_their_size_allows(name: str) -> None:
    assert name in LARGE
    large(name)
