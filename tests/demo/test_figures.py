from dataclasses import replace

import pytest

from tests.demo.evidence import FIRST, GOOD, HISTORY, OTHER, SECOND, THIRD, request
from worker.sandbox.demo.check import check
from worker.sandbox.demo.figures import changes, percentile
from worker.sandbox.demo.summary import summary


def seconds(*requests: object) -> list[float]:
    return [round(change.seconds, 3) for change in changes(HISTORY, requests)]  # type: ignore[arg-type]


def test_every_change_is_timed_by_the_first_request_that_tells_of_it_or_of_a_newer_one() -> None:
    # Cart 1 changes at 0, 2 and 3 s, cart 2 at 1 s.
    assert seconds(request(1, FIRST, 0.5), request(2, OTHER, 1.5), request(3, THIRD, 4)) == [0.5, 0.5, 2.0, 1.0]


def test_a_request_that_took_no_effect_tells_the_api_nothing() -> None:
    assert seconds(request(1, FIRST, 0.5, outcome="status"), request(2, SECOND, 2.5)) == [2.5, 0.5]


def test_a_repeated_request_does_not_count_twice() -> None:
    assert seconds(request(1, FIRST, 0.5), request(2, FIRST, 1.5)) == [0.5]


@pytest.mark.parametrize(("part", "expected"), [(0.5, 51), (0.95, 96), (1.0, 100)])
def test_percentiles_are_values_that_occurred(part: float, expected: float) -> None:
    assert percentile(map(float, range(100, 0, -1)), part) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 0.5) == 0


def test_the_summary_names_every_promise_that_was_not_kept() -> None:
    evidence = replace(GOOD, committed={}, records=())
    lines = list(summary(evidence, check(evidence), 31.4))
    assert lines[-1] == (
        "FAILED after 31 s. Not kept: every cart and order is there in its newest state;"
        " everything that was written is committed."
    )


def test_the_summary_says_in_plain_words_that_all_is_well() -> None:
    lines = list(summary(GOOD, check(GOOD), 31.4))
    assert lines[-1] == "All is well after 31 s: the API holds every cart and order as it is now."
    assert "  outage                3.0 s; sending went on 1.0 s after the API was back" in lines
