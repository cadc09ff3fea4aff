"""Memory: idle, behind a dead API at the default bounds, and after; with large carts; in a live replay."""

import statistics
import time

from tests.bench.bed import Bed, BenchWorker
from tests.bench.events import sessions
from tests.bench.figures import Figure, Findings, Goal, Plot
from tests.bench.scenarios import large
from tests.brokers.tools import wait_until


def run(bed: Bed) -> Findings:
    """One round: it takes minutes, and memory hardly varies."""
    events, ids = bed.size(1_000_000, 30_000), bed.size(100_000, 3_000)
    bed.say(f"writing {events:,} events over {ids:,} ids")
    topic = bed.filled(sessions(events, ids), partitions=6)
    idle = _idle(bed)
    bed.api.set(status=503, latency=0, reset=True)
    bound = {} if not bed.quick else {"WORKER_MAX_PENDING": "1500"}
    with bed.worker(topic, bound) as worker:
        watch = _Watch(worker)
        wait_until(lambda: watch.look() and _paused(worker), "intake to pause", 180)
        full = watch.hold(bed.seconds(15.0, 2.0))
        bed.say(f"behind a dead API: {full[-1]:.0f} MB; the API recovers")
        bed.api.set(status=200, reset=True)
        wait_until(lambda: watch.look() and _done(worker, events), "the backlog to be sent", 300)
        requests = bed.api.requests()
        after = watch.hold(bed.seconds(5.0, 1.0))
    bed.say(f"after {requests:,} requests: {after[-1]:.0f} MB")
    return Findings(
        [
            Figure("idle", "MB", (idle,), goal=Goal("at most", 80)),
            Figure(f"{events:,} events over {ids:,} ids, API dead", "MB", (max(full),), goal=Goal("at most", 200)),
            Figure("… growth while it stands there", "MB", (full[-1] - full[0],), goal=Goal("at most", 2)),
            Figure("after all was sent", "MB", (statistics.median(after),)),
            Figure("at most, all the time", "MB", (watch.most,), goal=Goal("at most", 200)),
            *large.backlogs(bed),
            *large.beside_large_carts(bed),
            *large.replay(bed),
        ],
        [Plot("memory", "Memory behind a dead API, and after", "s", "MB", {"resident": watch.line()})],
    )


def _idle(bed: Bed) -> float:
    with bed.worker(bed.topic(6)) as worker:
        worker.ready(6)
        time.sleep(bed.seconds(5.0, 1.0))
        return float(worker.resident())


def _paused(worker: BenchWorker) -> bool:
    return worker.sum("intake_paused") > 0 and worker.sum("sending_paused") > 0


def _done(worker: BenchWorker, events: int) -> bool:
    return worker.sum("events_consumed_total") >= events and worker.sum("pending_entities") == 0


class _Watch:
    """Looks at a worker's memory as time goes by."""

    def __init__(self, worker: BenchWorker) -> None:
        self._worker = worker
        self._since = time.monotonic()
        self._looks: list[tuple[float, float]] = []

    def look(self) -> bool:
        time.sleep(0.4)
        self._looks.append((time.monotonic() - self._since, self._worker.resident()))
        return True

    def hold(self, seconds: float) -> list[float]:
        """Looks for that long."""
        start, first = time.monotonic(), len(self._looks)
        while time.monotonic() - start < seconds:
            self.look()
        return [resident for _, resident in self._looks[first:]]

    @property
    def most(self) -> float:
        return max(resident for _, resident in self._looks)

    def line(self, points: int = 120) -> list[tuple[float, float]]:
        step = max(1, len(self._looks) // points)
        return [(round(at, 1), round(resident, 1)) for at, resident in self._looks[::step]]
