"""The state machines, for a few seconds; `python -m tests.chaos.machines` runs them for a million steps."""

from collections.abc import Sequence

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine import MACHINES, OutboxMachine, OutboxMachineWithDeadLetters, profile
from tests.core.mutants import MUTANTS, planted

TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = profile(150, 60)
TestOutboxWithDeadLetters = OutboxMachineWithDeadLetters.TestCase
TestOutboxWithDeadLetters.settings = profile(150, 60)


#: Bugs that only one kind of trouble shows: there is more of that then.
SHOWN_BY = {
    "1-dropped-below-the-cut": "cut",
    "2-nothing-inherited": "crash",
    "2-emptied-cart-in-flight-is-retried": "emptied",
}


@pytest.mark.no_cover
@pytest.mark.parametrize("mutant", list(MUTANTS))
def test_the_machines_find_a_planted_bug(mutant: str) -> None:
    """A machine that stays green with one of them would prove nothing without. Not shrunk: to be red is enough."""
    with planted(mutant), pytest.raises(Exception):  # noqa: B017, PT011 - any way of turning red
        _run([_troubled(machine, mutant) for machine in (MACHINES if mutant[0] != "7" else MACHINES[1:])])


def _troubled(machine: type[OutboxMachine], mutant: str) -> type[OutboxMachine]:
    if mutant not in SHOWN_BY:
        return machine
    return type("Troubled", (machine,), {"troubles": (SHOWN_BY[mutant], *machine.troubles[:2])})


def _run(machines: Sequence[type[OutboxMachine]]) -> None:
    for number in range(1, 9):
        for machine in machines:
            run_state_machine_as_test(seed(number)(machine), settings=profile(200, 60, phases=[Phase.generate]))
