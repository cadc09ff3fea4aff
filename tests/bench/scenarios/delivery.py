"""Sending: requests a second by latency and concurrency, beside what is possible and beside the bare HTTP client."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.api import Segment
from tests.bench.bed import Bed
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings, Goal, Plot
from tests.bench.machine import pin
from tests.brokers.tools import wait_until

LATENCIES = (500, 100, 50, 10, 0)
CONCURRENCIES = (16, 32, 64)
#: Beyond it the bare client says nothing that concurrency ÷ latency does not (ms).
SLOWEST_FOR_BARE = 100
BACKLOG = 70_000
#: A latency below this part of the processor's ceiling is held to what concurrency and latency allow.
BELOW_THE_CEILING = 0.75

Cell = tuple[int, int]  # concurrency, latency in ms


def run(bed: Bed) -> Findings:
    concurrencies = CONCURRENCIES[:1] if bed.quick else CONCURRENCIES
    latencies = (50, 0) if bed.quick else LATENCIES
    backlog = bed.size(BACKLOG, 10_000)
    bed.say(f"writing {backlog:,} events of as many ids")
    topic = bed.filled(cart(number, 1) for number in range(backlog))
    ours: dict[Cell, list[Segment]] = defaultdict(list)
    bare: dict[Cell, list[Segment]] = defaultdict(list)
    pinned: dict[int, list[Segment]] = defaultdict(list)
    for number in range(bed.rounds):
        for concurrency in concurrencies:
            for who in (_worker, _bare) if number % 2 == 0 else (_bare, _worker):
                into = ours if who is _worker else bare
                with who(bed, topic, concurrency) as pid:
                    for latency in latencies:
                        if who is _bare and latency > SLOWEST_FOR_BARE:
                            continue
                        seconds = bed.seconds(2.5 if latency == 500 else 1.5, 0.5)
                        into[concurrency, latency].append(bed.api.segment(pid, concurrency, latency / 1000, seconds))
                    if who is _worker:
                        pin(pid)
                        pinned[concurrency].append(bed.api.segment(pid, concurrency, 0.0, bed.seconds(1.5, 0.5)))
        bed.say(
            f"round {number + 1}: " + ", ".join(f"{c} at {ms} ms {s[-1].rate:,.0f}/s" for (c, ms), s in ours.items())
        )
    return Findings([*_figures(ours, bare), *_on_one_core(ours, pinned)], [_plot(ours, bare)])


@contextmanager
def _worker(bed: Bed, topic: str, concurrency: int) -> Iterator[int]:
    bed.api.set(latency=0.5, reset=True)
    settings = {
        "OPTICO_MAX_CONCURRENCY": str(concurrency),
        "WORKER_COLLAPSE_WINDOW_MS": "0",
        "WORKER_MAX_PENDING": str(BACKLOG),
    }
    with bed.worker(topic, settings) as worker:
        wait_until(bed.api.requests, "the first request", 60)
        yield worker.pid


@contextmanager
def _bare(bed: Bed, _: str, concurrency: int) -> Iterator[int]:
    bed.api.set(latency=0.5, reset=True)
    with bed.program("tests.bench.bare", "http", bed.api.url, concurrency) as client:
        wait_until(bed.api.requests, "the first request", 60)
        yield client.pid


def _figures(ours: dict[Cell, list[Segment]], bare: dict[Cell, list[Segment]]) -> list[Figure]:
    figures = []
    for concurrency, latency in sorted(ours, key=lambda cell: (cell[1], cell[0])):
        cell = concurrency, latency
        rates = tuple(each.rate for each in ours[cell])
        bares = tuple(each.rate for each in bare.get(cell, ()))
        costs = tuple(each.cost for each in ours[cell])
        name = f"API at {latency} ms, {concurrency} at once"
        if latency == 0:
            figures += [
                Figure(name, "requests/s", rates, "bare HTTP client", bares, Goal("at least", 0.6, "ratio")),
                Figure(f"{name}: the ceiling of one process", "requests/s", rates, goal=Goal("at least", 2500)),
                Figure(
                    f"{name}: cost",
                    "µs CPU a request",
                    costs,
                    "bare HTTP client",
                    tuple(each.cost for each in bare[cell]),
                    Goal("at most", 400),
                ),
                Figure(
                    f"{name}: the target's share of one core, with the faster of the two",
                    "%",
                    tuple(max(one.busy, other.busy) for one, other in zip(ours[cell], bare[cell], strict=True)),
                    goal=Goal("at most", 75),
                ),
            ]
            continue
        possible = concurrency / latency * 1000
        free = possible <= BELOW_THE_CEILING * _ceiling(ours, concurrency)
        goal = Goal("at least", 0.95, "ratio") if free else None
        limit = "concurrency ÷ latency" if free else "concurrency ÷ latency, beyond the CPU's ceiling"
        figures.append(Figure(name, "requests/s", rates, limit, (possible,) * len(rates), goal))
        if bares:
            figures.append(Figure(f"{name}, beside the bare client", "requests/s", rates, "bare HTTP client", bares))
    return figures


def _on_one_core(ours: dict[Cell, list[Segment]], pinned: dict[int, list[Segment]]) -> list[Figure]:
    """What is lost where threads hand the interpreter from core to core: the same process, then held to one."""
    return [
        Figure(
            f"API at 0 ms, {concurrency} at once, the worker held to one core",
            "requests/s",
            tuple(each.rate for each in segments),
            "the same on two",
            tuple(each.rate for each in ours[concurrency, 0]),
        )
        for concurrency, segments in sorted(pinned.items())
    ]


def _ceiling(ours: dict[Cell, list[Segment]], concurrency: int) -> float:
    return max(each.rate for each in ours[concurrency, 0])


def _plot(ours: dict[Cell, list[Segment]], bare: dict[Cell, list[Segment]]) -> Plot:
    lines: dict[str, list[tuple[float, float]]] = {}
    for concurrency in sorted({concurrency for concurrency, _ in ours}):
        for who, cells in (("worker", ours), ("bare client", bare)):
            found = [
                (float(latency), sorted(each.rate for each in segments)[len(segments) // 2])
                for (at, latency), segments in cells.items()
                if at == concurrency and latency
            ]
            lines[f"{who}, {concurrency} at once"] = sorted(found)
    title = "Requests a second by the API's latency"
    return Plot("delivery", title, "latency of the API, ms", "requests/s", lines, log_x=True, log_y=True)
