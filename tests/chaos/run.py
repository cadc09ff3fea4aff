"""Runs scenarios one after the other, keeping the brokers between runs where a kind leaves them usable."""

import logging
import multiprocessing
import queue
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self

from tests.chaos import scenarios
from tests.chaos.cluster import ProxiedCluster
from tests.chaos.kinds import KINDS, Kind
from tests.chaos.world import Figures, World


@dataclass(frozen=True)
class Result:
    """`figures` None: it failed, and `evidence` says how."""

    name: str
    seed: int
    figures: Figures | None
    evidence: str
    seconds: float


class Runner:
    """Context manager that keeps clusters, by their size."""

    def __init__(self) -> None:
        self._clusters: dict[int, tuple[ProxiedCluster, ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for size in list(self._clusters):
            self._drop(size)

    def run(self, name: str, seed: int, bug: str | None = None) -> Result:
        """One run. `bug`: planted in its workers."""
        started = time.monotonic()
        kind = KINDS[name]
        size = kind.options.brokers
        try:
            figures = self._attempt(kind, seed, bug)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this run's result
            self._drop(size)
            evidence = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
            return Result(name, seed, None, evidence, time.monotonic() - started)
        if kind.spoils:
            self._drop(size)
        return Result(name, seed, figures, "", time.monotonic() - started)

    def _attempt(self, kind: Kind, seed: int, bug: str | None) -> Figures:
        with World(self._cluster(kind.options.brokers), f"{kind.name} {seed}", kind.options, bug) as world:
            kind.script(world)
            return world.finish()

    def _cluster(self, size: int) -> ProxiedCluster:
        if size not in self._clusters:
            # Others only take memory while this kind runs.
            for other in list(self._clusters):
                self._drop(other)
            stack = ExitStack()
            self._clusters[size] = stack.enter_context(ProxiedCluster(size)), stack
        return self._clusters[size][0]

    def _drop(self, size: int) -> None:
        if size in self._clusters:
            self._clusters.pop(size)[1].close()


def run_all(runs: list[tuple[str, int]], bug: str | None = None, jobs: int = 1) -> Iterator[Result]:
    """Each kind with its seed, results as they come in. With several jobs each has brokers of its own."""
    context = multiprocessing.get_context("spawn")
    tasks: multiprocessing.Queue[tuple[str, int] | None] = context.Queue()
    results: multiprocessing.Queue[Result] = context.Queue()
    for task in [*runs, *[None] * jobs]:
        tasks.put(task)
    processes = [context.Process(target=_work, args=(tasks, results, bug)) for _ in range(jobs)]
    for process in processes:
        process.start()
    try:
        for _ in runs:
            yield _next(results, processes)
    finally:  # also where this one is told to end: brokers must not outlive it
        for process in processes:
            process.terminate()
            process.join(60)


def _next(results: "multiprocessing.Queue[Result]", processes: "list[SpawnProcess]") -> Result:
    while True:
        try:
            return results.get(timeout=5)
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                raise RuntimeError("the runs ended before their time") from None


def _work(tasks: Any, results: Any, bug: str | None) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # our own clients see the faults as well
    assert scenarios.__all__
    with Runner() as runner:
        while (task := tasks.get()) is not None:
            name, seed = task
            results.put(runner.run(name, seed, bug))
