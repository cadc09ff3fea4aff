"""Signals: the demo notices them between its steps, so that what it starts is never left half started."""

import signal
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final, Self

_SIGNALS: Final = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class InterruptedDemoError(Exception):
    """Somebody wants the demo to end."""


class Stop:
    """Context manager: SIGINT, SIGTERM and SIGHUP ask the demo to end. On the main thread only.

    The first one is raised by the next `pause`. Where a step takes so long that a second one comes before, that one is
    raised at once, as KeyboardInterrupt. Once the ending has begun, further ones change nothing.
    """

    def __init__(self) -> None:
        self._signals: SimpleQueue[int] = SimpleQueue()  # whose put, unlike an event's set, may interrupt its get
        self._ending = False
        self._handlers: dict[signal.Signals, Any] = {}

    def pause(self, seconds: float = 0) -> None:
        """Blocks for so long. Raises InterruptedDemoError as soon as a signal has come."""
        try:
            self._signals.get(timeout=seconds)
        except Empty:
            return
        self._ending = True
        raise InterruptedDemoError

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:  # nohup stays nohup
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._ending:
            return
        if not self._signals.empty():
            self._ending = True
            raise KeyboardInterrupt
        self._signals.put(number)
