import os
import signal
import time
from collections.abc import Iterator

import pytest

from worker.sandbox.demo.stop import InterruptedDemoError, Stop


@pytest.fixture(autouse=True)
def hangups_are_not_ignored() -> Iterator[None]:
    """As they are where the tests themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_next_pause_at_once(number: int) -> None:
    with Stop() as stop:
        os.kill(os.getpid(), number)
        started = time.monotonic()
        with pytest.raises(InterruptedDemoError):
            stop.pause(60)
    assert time.monotonic() - started < 10


def test_a_second_signal_does_not_wait_for_the_next_pause() -> None:
    with Stop():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_once_the_ending_has_begun_further_signals_change_nothing() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(InterruptedDemoError):
            stop.pause()
        signal.raise_signal(signal.SIGINT)
        stop.pause()


def test_the_handlers_from_before_are_put_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Stop():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


def test_what_ignores_hangups_goes_on_ignoring_them() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stop:
            signal.raise_signal(signal.SIGHUP)
            stop.pause()
    finally:
        signal.signal(signal.SIGHUP, before)
