"""The state machine of the engine turns red with each of the bugs that are planted."""

from collections.abc import Iterable

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine import SEARCH_SECONDS, profile
from tests.engine.machine import EngineMachine
from tests.engine.mutants import MUTANTS, planted

pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(SEARCH_SECONDS)]

#: The seed that finds a rare bug within seconds, tried first. It hangs on the machine, on Hypothesis, and on the
#: modules of a whole run. When it finds nothing, the search through all seeds that follows does, only later.
FIRST = {
    "engine-2-moved-without-a-note": 2,
    "engine-2-stopped-without-a-note": 7,
    "engine-2-last-commit-taken-for-granted": 6,
    "engine-2-last-commit-not-doubted": 10,
    "engine-2-emptied-cart-forgotten": 4,
    "engine-2-nothing-inherited": 9,
    "engine-2-sent-without-a-lease": 8,
    "engine-3-never-suspended": 2,
    "engine-4-taken-in-while-draining": 7,
    "engine-5-moves-without-a-record-ignored": 5,
    "engine-5-moved-without-a-mark": 8,
    "engine-6-counted-twice": 4,
    "engine-loop-task-dies-in-silence": 2,
    "engine-10-link-overtaken-in-a-batch": 4,
    "engine-10-link-not-sent": 5,
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
