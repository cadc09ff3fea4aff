"""What the user sees while it runs: a picture that changes in place, or a line now and then where that can't be."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from worker.sandbox.demo.process import Readings

_EVERY: Final = 2.0
_WIDEST: Final = 88


@dataclass(frozen=True)
class Status:
    """The demo at one moment. `lag`: records that are written and not committed; `words`: the worker's last ones."""

    title: str
    events: int
    written: int = 0
    lag: int = 0
    readings: Readings = field(default_factory=Readings)
    words: str = ""

    @property
    def breaker(self) -> str:
        """As a person reads it: closed is well."""
        paused = self.readings.paused
        return f"open ({', '.join(paused).replace('_', ' ')})" if paused else "closed"


class Show(Protocol):
    """Context manager: shows every status that is given to `update` while it is entered."""

    def update(self, status: Status) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class LiveShow:
    def __init__(self) -> None:
        console = Console(width=min(_WIDEST, Console().width))
        self._live = Live(console=console, auto_refresh=False)
        self._started = time.monotonic()

    @staticmethod
    def dumb() -> bool:
        """Whether the terminal can't be written to in place."""
        return os.environ.get("TERM", "").lower() in {"", "dumb", "unknown"}

    def update(self, status: Status) -> None:
        self._live.update(_picture(status, time.monotonic() - self._started), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class PlainShow:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self._next = self._started
        self._title = ""

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now < self._next and status.title == self._title:
            return
        self._next, self._title = now + _EVERY, status.title
        click.echo(f"{now - self._started:5.1f} s  {_line(status)}")
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def _line(status: Status) -> str:
    if not status.written:
        return status.title
    return f"{status.title} | " + ", ".join(f"{name} {value}" for name, value in _numbers(status))


def _numbers(status: Status) -> Iterator[tuple[str, str]]:
    readings = status.readings
    yield "events in", f"{readings.total('events_consumed_total'):,}"
    yield "collapsed", f"{readings.total('events_collapsed_total'):,}"
    yield "requests", f"{readings.total('requests_total'):,}"
    yield "saved", f"{readings.saved:.0%}"
    yield "in flight", f"{readings.total('requests_in_flight'):,}"
    yield "waiting", f"{readings.total('pending_entities'):,}"
    yield "lag", f"{status.lag:,}"
    yield "circuit breaker", status.breaker


_MEANINGS: Final = {
    "events in": "read from the topic",
    "collapsed": "replaced by a newer one before they were sent",
    "requests": "made to the API, repeated ones included",
    "saved": "of the requests that one for each event would be",
    "in flight": "requests that are under way",
    "waiting": "carts and orders with something unsettled",
    "lag": "events written but not committed",
    "circuit breaker": "open: nothing is sent but probes",
}


def _picture(status: Status, seconds: float) -> Panel:
    numbers = Table.grid(padding=(0, 2))
    numbers.add_column(min_width=10)
    numbers.add_column(justify="right", min_width=15)
    numbers.add_column(style="dim")
    for name, value in _numbers(status):
        style = "bold red" if name == "circuit breaker" and value != "closed" else "bold"
        numbers.add_row(name, f"[{style}]{value}[/]", _MEANINGS[name])
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        ProgressBar(status.events, status.written, width=40), f"{status.written:,} of {status.events:,} written"
    )
    title, words = Text(status.title, "bold cyan"), Text(f"The worker says: {status.words}", "dim")
    whole = Group(title, bar, "", numbers, "", words)
    return Panel(whole, title="Optico worker: demo", subtitle=f"{seconds:.0f} s", padding=(0, 2))
