"""Ctrl-C between two batches instead of in the middle of one. On the main thread only."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: A terminal that is closed says SIGHUP; where that is ignored (nohup), it stays so.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether somebody has asked for the end. See `stopping`."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._asked = self._held = False
        self._waiting: int | None = None

    def is_set(self) -> bool:
        return self._asked

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """The second signal acts at the end of the block: to be short, and never nested."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._waiting is not None:
                self._act(self._waiting)

    def listen(self) -> None:
        for number in _SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)

    def leave(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, _: FrameType | None) -> None:
        if not self._asked:
            self._asked = True
        elif self._held:
            self._waiting = number
        else:
            self._act(number)

    def _act(self, number: int) -> None:
        self.leave()
        signal.raise_signal(number)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Set by the first SIGINT, SIGTERM or SIGHUP; the second one acts as ever, but where it is held back."""
    stop = Stop()
    stop.listen()
    try:
        yield stop
    finally:
        stop.leave()
