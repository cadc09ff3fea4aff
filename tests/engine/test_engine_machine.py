"""The engine's state machine, for a few seconds; `python -m tests.chaos.machines` runs it for long."""

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine import profile
from tests.engine.machine import EngineMachine
from tests.engine.mutants import MUTANTS, planted

TestEngine = EngineMachine.TestCase
TestEngine.settings = profile(50, 60)


@pytest.mark.no_cover
@pytest.mark.parametrize("mutant", list(MUTANTS))
def test_the_engine_s_machine_finds_a_planted_bug(mutant: str) -> None:
    """Not shrunk: to be red is enough."""
    with planted(mutant), pytest.raises(Exception):  # noqa: B017, PT011 - any way of turning red
        _run()


def _run() -> None:
    for number in range(1, 9):
        run_state_machine_as_test(seed(number)(EngineMachine), settings=profile(200, 60, phases=[Phase.generate]))
