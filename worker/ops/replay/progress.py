"""How far a replay is: a bar on a terminal, a line every ten seconds elsewhere; both on standard error."""

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from worker.ops.replay.tracker import ReplayTracker
from worker.ops.terminal import is_terminal, note

_LINE_EVERY = 10.0
#: The rate that is shown is that of the last so many seconds.
_RATE_OVER = 10.0
_PAUSES = {
    "outage": "paused: requests keep failing, one at a time is tried until the API answers",
    "invalid_api_key": "paused: the API refuses the key",
    "retry_after": "paused: the API asked for that",
}


class Progress:
    """Context manager. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._spoken = clock()
        self._samples: deque[tuple[float, int]] = deque()
        self._drawn = is_terminal(sys.stderr)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=not self._drawn,
            redirect_stdout=is_terminal(sys.stdout),  # an answer in a pipe is no line above the bar
        )
        self._reading = self._bar.add_task("reading the range", total=None, more="", visible=False)
        self._sending = self._bar.add_task("sending", total=None, more="", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):  # a terminal that is gone
            self._bar.stop()

    def reading(self, done: int, total: int) -> None:
        """So many records of the range are read."""
        self._bar.update(self._reading, completed=done, total=total, visible=done < total)
        self._line(lambda: f"reading the range: {done} of {total} records{self._time_left(done, total)}")

    def sending(self, tracker: ReplayTracker, requests: int, paused: str | None) -> None:
        """`paused`: why nothing is sent just now."""
        if not self._samples:
            self._started = self._clock()
        more = f"{self._rate(requests):.0f} requests/s"
        if paused is not None:
            more += f"; {_PAUSES[paused]}"
        elif tracker.failing:
            reasons = ", ".join(sorted({outcome.reason for outcome in tracker.failing.values()}))
            more += f"; {len(tracker.failing)} are retried: {reasons}"
        elif tracker.open and not tracker.waiting and not tracker.untried:
            more += f"; {len(tracker.open)} are checked for newer events"
        self._bar.update(self._sending, completed=tracker.done, total=tracker.total, more=more, visible=True)
        done, total = tracker.done, tracker.total
        self._line(lambda: f"sending: {done} of {total} entities are done; {more}{self._time_left(done, total)}")

    def _rate(self, requests: int) -> float:
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= _RATE_OVER / 20:
            self._samples.append((now, requests))
        while now - self._samples[0][0] > _RATE_OVER:
            self._samples.popleft()
        since, before = self._samples[0] if self._samples else (now, requests)
        return (requests - before) / max(now - since, 1.0)

    def _time_left(self, done: int, total: int) -> str:
        passed = self._clock() - self._started
        return f"; about {passed * (total - done) / done:.0f} s left" if 0 < done < total else ""

    def _line(self, text: Callable[[], str]) -> None:
        now = self._clock()
        if not self._drawn and now - self._spoken >= _LINE_EVERY:
            self._spoken = now
            note(text())
