"""How cost grows: with events, with ids, with products in a cart, with partitions."""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.bench.bed import Bed, BenchWorker, every, produce
from tests.bench.events import cart_of, round_robin
from tests.bench.figures import Figure, Findings, Goal, Plot
from tests.bench.machine import cpu_now
from tests.brokers.tools import wait_until

EVENTS = (10_000, 100_000, 1_000_000)
IDS = (100, 1_000, 10_000, 100_000)
PRODUCTS = (1, 10, 50, 200)
PARTITIONS = (1, 8, 48)
#: More are not written while a worker is kept waiting.
AT_ONCE = 200_000
#: The part of a processor that an idle worker takes at most.
IDLE = 0.08
#: Nothing is bounded here: it is cost that is looked at.
UNBOUNDED = {"WORKER_MAX_PENDING": "1000000", "WORKER_MAX_PENDING_BYTES": "1000000000"}


def run(bed: Bed) -> Findings:
    """One round; neighbours in a row are each other's check."""
    events = [(n, _reading(bed, n, 200)) for n in (EVENTS[:1] if bed.quick else EVENTS)]
    bed.say("µs an event by events: " + _told(events))
    many = bed.size(100_000, 5_000)
    ids = [(n, _reading(bed, many, n)) for n in (IDS[:1] if bed.quick else IDS)]
    bed.say("µs an event by ids: " + _told(ids))
    partitions = [(n, _reading(bed, many, 200, partitions=n)) for n in (PARTITIONS[1:] if bed.quick else PARTITIONS)]
    bed.say("µs an event by partitions: " + _told(partitions))
    products = [(n, *_sending(bed, n)) for n in (PRODUCTS[:2] if bed.quick else PRODUCTS)]
    read = [(n, event) for n, event, _ in products]
    sent = [(n, request) for n, _, request in products]
    bed.say(f"µs by products: an event {_told(read)}; a request {_told(sent)}")
    figures = [
        *_figures("events", events, "over 200 ids", Goal("at most", 1.5, "ratio")),
        *_figures("ids", ids, f"{many:,} events", Goal("at most", 2.0, "ratio")),
        *_figures("partitions", partitions, f"{many:,} events", Goal("at most", 1.5, "ratio")),
        *_figures("products", read, "reading", None),
        *_figures("products", sent, "sending", None, unit="µs CPU a request"),
    ]
    rows = {"reading, by events": events, "reading, by ids": ids, "reading, by partitions": partitions}
    lines = {name: _points(row) for name, row in rows.items()}
    by_size = {"reading an event": _points(read), "sending a request": _points(sent)}
    return Findings(
        figures,
        [
            Plot("growth", "Cost of an event by how many there are", "events, ids, partitions", "µs CPU", lines, True),
            Plot("products", "Cost by products in a cart", "products", "µs CPU", by_size, True, True),
        ],
    )


def _points(row: list[tuple[int, float]]) -> list[tuple[float, float]]:
    return [(float(n), cost) for n, cost in row]


def _told(row: list[tuple[int, float]]) -> str:
    return ", ".join(f"{n:,}: {cost:.0f}" for n, cost in row)


def _figures(
    what: str, row: list[tuple[int, float]], about: str, goal: Goal | None, unit: str = "µs CPU an event"
) -> list[Figure]:
    """Each beside the cheapest of its row."""
    least = min(cost for _, cost in row)
    return [Figure(f"{n:,} {what}, {about}", unit, (cost,), "the row's least", (least,), goal) for n, cost in row]


def _reading(bed: Bed, events: int, ids: int, partitions: int = 4) -> float:
    """µs of processor time an event, while nothing is sent yet."""
    if events <= AT_ONCE:
        with _fed(bed, round_robin(events, ids), events, 60_000, partitions) as (_, cost):
            return cost
    topic = bed.filled(round_robin(events, ids), partitions)
    with bed.worker(topic, {"WORKER_COLLAPSE_WINDOW_MS": "60000"} | UNBOUNDED) as worker:
        return bed.read_through(worker, events).cost


def _sending(bed: Bed, products: int) -> tuple[float, float]:
    """µs of processor time an event and a request, with that many products in each cart."""
    events = bed.size(10_000, 1_000) // (1 + products // 10)
    with _fed(bed, (cart_of(n, 1, products) for n in range(events)), events, 4_000) as (worker, cost):
        cpu, before = cpu_now(worker.pid), bed.api.requests()
        wait_until(every(0.2, lambda: bed.api.requests() == events), "all to be sent", 120)
        return cost, (cpu_now(worker.pid) - cpu) / max(1, events - before) * 1e6


@contextmanager
def _fed(
    bed: Bed, records: Iterable[tuple[bytes, bytes]], events: int, window_ms: int, partitions: int = 4
) -> Iterator[tuple[BenchWorker, float]]:
    """A worker that has just read these records at one go, and what each cost it (µs).

    It is stopped while they are written, so that they all wait for it, and its start does not count.
    """
    topic = bed.topic(partitions)
    bed.api.set(latency=0, status=200, reset=True)
    with bed.worker(topic, {"WORKER_COLLAPSE_WINDOW_MS": str(window_ms)} | UNBOUNDED) as worker:
        worker.ready(partitions)
        worker.signal(signal.SIGSTOP)
        produce(bed.kafka.bootstrap, topic, records)
        before = cpu_now(worker.pid)
        worker.signal(signal.SIGCONT)
        used = wait_until(lambda: _read(worker, events), "it to have read", 60) - before
        yield worker, used / events * 1e6


def _read(worker: BenchWorker, events: int) -> float:
    """Its processor time, once it has read all. It is asked only when it falls silent: asking costs it time."""
    before = cpu_now(worker.pid)
    time.sleep(0.15)
    after = cpu_now(worker.pid)
    silent = after - before < IDLE * 0.15
    return after if silent and worker.sum("events_consumed_total") == events else 0.0
