"""The demo from its beginning to its end."""

import time
from collections import deque
from typing import Final

import click

from worker.sandbox.demo.check import Evidence, Outage, check
from worker.sandbox.demo.crowd import with_crowd
from worker.sandbox.demo.errors import DemoError
from worker.sandbox.demo.feed import Feed
from worker.sandbox.demo.history import History
from worker.sandbox.demo.plan import Plan, Scene
from worker.sandbox.demo.process import Readings
from worker.sandbox.demo.show import Show, Status
from worker.sandbox.demo.stage import TOPIC, Stage, stage
from worker.sandbox.demo.stop import Stop
from worker.sandbox.demo.summary import summary
from worker.sandbox.traffic import traffic

_TICK: Final = 0.25
_START_WITHIN: Final = 30.0
#: Longer than the longest pause that the worker makes between two attempts.
_STANDSTILL: Final = 60.0


def play(plan: Plan, show: Show, stop: Stop) -> bool:
    """Runs it, and prints the summary. Whether every check holds. Raises what `stage` raises."""
    started = time.monotonic()
    with show:
        show.update(Status("starting a broker, a stand-in for the API, and the worker", plan.events))
        with stage(stop) as on:
            evidence = Performance(plan, on, show, stop).run()
    checks = check(evidence)
    for line in summary(evidence, checks, time.monotonic() - started):
        click.echo(line)
    return all(each.holds for each in checks)


class Performance:
    """One run on a stage that is set up."""

    def __init__(self, plan: Plan, on: Stage, show: Show, stop: Stop) -> None:
        self._plan, self._on, self._show, self._stop = plan, on, show, stop
        self._readings = Readings()
        self._down_at: float | None = None
        self._back_at = 0.0
        self._gate_shut = False
        self._resumed_at: float | None = None

    def run(self) -> Evidence:
        """Blocks until it is over. Raises DemoError, KafkaError or InterruptedDemoError."""
        self._wait_for_worker()
        plan = self._plan
        samples = with_crowd(traffic(plan.seed, plan.per_second), plan.events, plan.crowd, plan.calm)
        with Feed(self._on.broker.bootstrap, TOPIC, samples) as feed:
            self._play_scenes(feed)
            history = History.of(feed.produced())
            self._settle(feed, history)
        self._tick("all is done; the worker is stopped, and its work checked", len(history.values))
        drained = self._on.worker.finish()
        return Evidence(
            history=history,
            requests=self._on.api.requests(),
            records=self._on.api.records(),
            letters=self._on.letters(self._readings.total("dead_letters_total")),
            committed=self._on.committed(),
            readings=self._readings,
            outage=self._outage(),
            drained=drained,
            crowd=plan.crowd,
        )

    def _wait_for_worker(self) -> None:
        deadline = time.monotonic() + _START_WITHIN
        while not self._on.worker.ready():
            if time.monotonic() > deadline:
                raise DemoError("the worker did not join its consumer group in time")
            self._tick("the worker starts and joins its consumer group")

    def _play_scenes(self, feed: Feed) -> None:
        """Until everything is written and the outage, if there is one, is over. Leaves the API well."""
        started = time.monotonic()
        coming = deque(self._plan.scenes)
        scene = self._enter(coming.popleft())
        while not feed.finished or scene.down or any(later.down for later in coming):
            while coming and time.monotonic() - started >= coming[0].at and not self._recovering:
                scene = self._enter(coming.popleft())
            self._tick(scene.title, feed.written)
        self._on.api.clear_faults()

    def _enter(self, scene: Scene) -> Scene:
        scene.act(self._on.api)
        if scene.down and self._down_at is None:
            self._down_at = time.time()
        elif not scene.down and self._down_at is not None and not self._back_at:
            self._back_at = time.time()
        return scene

    @property
    def _recovering(self) -> bool:
        """The API is back, but the worker has not noticed yet."""
        return self._gate_shut and bool(self._back_at) and self._resumed_at is None

    def _settle(self, feed: Feed, history: History) -> None:
        """Until all is settled and committed, or nothing moves any more: the checks then say what is wrong."""
        moved_at, before = time.monotonic(), None
        while not _settled(self._readings, history) and time.monotonic() - moved_at < _STANDSTILL:
            self._tick("no more events; the worker sends what is pending", feed.written)
            if before != (now := _progress(self._readings)):
                moved_at, before = time.monotonic(), now

    def _tick(self, title: str, written: int = 0) -> None:
        """Looks at the worker, shows what it sees, and waits a little."""
        worker = self._on.worker
        worker.expect_running()
        self._readings = worker.read() or self._readings
        self._watch_gate()
        lag = written - self._readings.total("committed_offset")
        self._show.update(Status(title, self._plan.events, written, lag, self._readings, worker.last_words()))
        self._stop.pause(_TICK)

    def _watch_gate(self) -> None:
        shut = "outage" in self._readings.paused
        if self._gate_shut and not shut and self._back_at and self._resumed_at is None:
            self._resumed_at = time.time()
        self._gate_shut = self._gate_shut or (shut and self._down_at is not None)

    def _outage(self) -> Outage | None:
        return None if self._down_at is None else Outage(self._down_at, self._back_at, self._resumed_at)


def _settled(readings: Readings, history: History) -> bool:
    committed = readings.total("committed_offset")
    return committed == sum(history.ends.values()) and not readings.total("pending_entities")


def _progress(readings: Readings) -> tuple[int, ...]:
    names = ("events_consumed_total", "events_delivered_total", "events_rejected_total", "committed_offset")
    return tuple(readings.total(name) for name in names)
