"""The state machine of the engine turns red with each of the bugs that are planted."""

from collections.abc import Iterable

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine import SEARCH_SECONDS, profile
from tests.engine.machine import EngineMachine
from tests.engine.mutants import MUTANTS, planted

pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(SEARCH_SECONDS)]

#: The seed that finds a bug within seconds, tried first. It hangs on the machine and on Hypothesis: when they change,
#: the search through all seeds that follows still finds the bug, only later.
FIRST = {
    "engine-1-late-answer-believed": 9,
    "engine-1-position-committed": 4,
    "engine-1-refused-forgotten": 2,
    "engine-2-stopped-without-a-note": 7,
    "engine-2-last-commit-taken-for-granted": 4,
    "engine-2-last-commit-not-doubted": 10,
    "engine-2-emptied-cart-forgotten": 12,
    "engine-2-sent-without-a-lease": 2,
    "engine-3-never-suspended": 9,
    "engine-4-taken-in-while-draining": 2,
    "engine-5-moves-without-a-record-ignored": 2,
    "engine-5-moved-without-a-mark": 14,
    "engine-7-failed-letter-settled": 3,
    "engine-loop-task-dies-in-silence": 9,
    "engine-10-link-not-sent": 4,
}
SEEDS = range(1, 41)


@pytest.mark.parametrize("mutant", list(MUTANTS))
def test_the_engine_s_machine_finds_a_planted_bug(mutant: str) -> None:
    """Not shrunk: to be red is enough."""
    first = [FIRST[mutant]] if mutant in FIRST else []
    with planted(mutant), pytest.raises(Exception):  # noqa: B017, PT011 - any way of turning red
        _run([*first, *SEEDS])


def test_a_seed_that_is_tried_first_is_that_of_a_bug() -> None:
    assert FIRST.keys() <= MUTANTS.keys()


def _run(seeds: Iterable[int]) -> None:
    for number in seeds:
        run_state_machine_as_test(seed(number)(EngineMachine), settings=profile(40, 60, phases=[Phase.generate]))
