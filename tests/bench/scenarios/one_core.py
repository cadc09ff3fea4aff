"""Is a worker better off on one core? The same process free and held to one, alone and beside a busy neighbour."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.bench.api import Segment
from tests.bench.bed import Bed
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings
from tests.bench.machine import one_core, pin, unpin
from tests.brokers.tools import wait_until

CONCURRENCY: Final = 32
BACKLOG: Final = 150_000


def run(bed: Bed) -> Findings:
    backlog = bed.size(BACKLOG, 20_000)
    bed.say(f"writing {backlog:,} events of as many ids")
    topic = bed.filled(cart(number, 1) for number in range(backlog))
    found: dict[tuple[bool, bool], list[Segment]] = defaultdict(list)
    settings = {"OPTICO_MAX_CONCURRENCY": str(CONCURRENCY), "WORKER_COLLAPSE_WINDOW_MS": "0"}
    settings["WORKER_MAX_PENDING"] = str(BACKLOG)
    for number in range(bed.rounds):
        bed.api.set(latency=0.5, reset=True)
        with bed.worker(topic, settings) as worker:
            wait_until(bed.api.requests, "the first request", 60)
            for busy in (False, True) if number % 2 == 0 else (True, False):
                with _neighbour(busy):
                    for held in (False, True):
                        (pin if held else unpin)(worker.pid)
                        found[held, busy].append(bed.api.segment(worker.pid, CONCURRENCY, 0.0, bed.seconds(1.0, 0.3)))
        bed.say(f"round {number + 1}: " + ", ".join(f"{each[-1].rate:,.0f}/s" for each in found.values()))
    return Findings(list(_figures(found)))


def _figures(found: dict[tuple[bool, bool], list[Segment]]) -> Iterator[Figure]:
    for busy in (False, True):
        where = "beside a process that keeps that core busy" if busy else "alone"
        free, held = found[False, busy], found[True, busy]
        name = f"held to one core, {where}"
        yield Figure(name, "requests/s", tuple(each.rate for each in held), "on two", tuple(each.rate for each in free))
        yield Figure(
            f"{name}: cost",
            "µs CPU a request",
            tuple(each.cost for each in held),
            "on two",
            tuple(each.cost for each in free),
        )


@contextmanager
def _neighbour(busy: bool) -> Iterator[None]:
    if not busy:
        yield
        return
    code = f"import os\nos.sched_setaffinity(0, {{{one_core()}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            yield
        finally:
            process.kill()
