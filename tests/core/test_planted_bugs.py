"""The state machines of the core turn red with each of the bugs that are planted."""

from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine import (
    MACHINES,
    SEARCH_SECONDS,
    OutboxMachine,
    OutboxMachineWithDeadLetters,
    profile,
)
from tests.core.mutants import MUTANTS, planted

pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(SEARCH_SECONDS)]

#: Bugs that only one kind of trouble shows: there is more of that then.
SHOWN_BY = {
    "1-dropped-below-the-cut": "cut",
    "2-nothing-inherited": "crash",
    "2-emptied-cart-in-flight-is-retried": "emptied",
}
#: What finds a rare bug within seconds, tried first. It hangs on the machine, on Hypothesis, and on the modules
#: of a whole run. When it finds nothing, the search through all seeds that follows does, only later.
FIRST: dict[str, tuple[int, type[OutboxMachine]]] = {
    "1-dropped-below-the-cut": (3, OutboxMachineWithDeadLetters),
    "2-not-confirmed": (4, OutboxMachineWithDeadLetters),
    "2-emptied-cart-drops-a-confirmation": (5, OutboxMachine),
    "2-emptied-cart-in-flight-is-retried": (5, OutboxMachineWithDeadLetters),
    "2-nothing-inherited": (5, OutboxMachine),
    "2-sent-without-a-note": (2, OutboxMachine),
    "9-attempt-counted-by-a-probe": (6, OutboxMachine),
    "9-attempt-counted-for-the-other-kind": (2, OutboxMachine),
    "9-closed-by-success-only": (2, OutboxMachineWithDeadLetters),
    "9-closed-by-a-refused-key": (2, OutboxMachineWithDeadLetters),
    "9-one-entity-probes": (4, OutboxMachine),
}
SEEDS = range(1, 61)


@pytest.mark.parametrize("mutant", list(MUTANTS))
def test_the_machines_find_a_planted_bug(mutant: str) -> None:
    """A machine that stays green with one of them would prove nothing without. Not shrunk: to be red is enough."""
    machines = MACHINES if mutant[0] != "7" else MACHINES[1:]
    first = [FIRST[mutant]] if mutant in FIRST else []
    with planted(mutant), pytest.raises(Exception):  # noqa: B017, PT011 - any way of turning red
        _run((number, _troubled(machine, mutant)) for number, machine in (*first, *product(SEEDS, machines)))


def test_a_seed_that_is_tried_first_is_that_of_a_bug() -> None:
    assert FIRST.keys() <= MUTANTS.keys()


def _troubled(machine: type[OutboxMachine], mutant: str) -> type[OutboxMachine]:
    if mutant not in SHOWN_BY:
        return machine
    return type("Troubled", (machine,), {"troubles": (SHOWN_BY[mutant], *machine.troubles[:2])})


def _run(searches: Iterable[tuple[int, type[OutboxMachine]]]) -> None:
    for number, machine in searches:
        run_state_machine_as_test(seed(number)(machine), settings=profile(40, 60, phases=[Phase.generate]))
