import signal
from collections.abc import Iterator
from typing import Any

import pytest

from worker.ops.dlq.stop import stopping

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What reaches the handlers that were there before."""
    signals: list[int] = []
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, lambda number, _: signals.append(number)) for number in NUMBERS
    }
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_the_first_signal_asks_and_the_second_one_acts(heard: list[int], number: signal.Signals) -> None:
    with stopping() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert (stop.is_set(), heard) == (True, [])
        signal.raise_signal(number)
        assert heard == [number]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_second_signal_that_is_held_back_acts_later(heard: list[int], number: signal.Signals) -> None:
    with stopping() as stop:
        with stop.held_back():
            for _ in range(3):
                signal.raise_signal(number)
            assert (stop.is_set(), heard) == (True, [])
        assert heard == [number]


def test_the_first_signal_does_not_act_because_it_was_held_back(heard: list[int]) -> None:
    with stopping() as stop:
        with stop.held_back():
            signal.raise_signal(signal.SIGTERM)
        assert (stop.is_set(), heard) == (True, [])


def test_a_closed_terminal_says_nothing_to_who_does_not_listen() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
