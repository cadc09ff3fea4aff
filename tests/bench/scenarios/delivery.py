"""Sending: requests a second by latency and concurrency, beside the bare HTTP client and beside another version."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.bench.api import Segment
from tests.bench.bed import Bed
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings, Goal, Plot
from tests.bench.machine import pin, usage
from tests.brokers.tools import wait_until

#: By concurrency the API's latencies (ms), slowest first.
CELLS: Final = {16: (50, 10), 32: (500, 100, 50, 10, 0), 64: (50, 10), 256: (50,), 1024: (200,)}
QUICK: Final = {32: (50, 0)}
BACKLOG = 120_000
#: Where the API is so slow, concurrency ÷ latency is what is possible (ms), up to this concurrency.
SLOW, FEW = 50, 64

Cell = tuple[int, int]  # concurrency, latency in ms


@dataclass(frozen=True)
class Runs:
    """Of one contender: segments by cell, those held to one core, and the memory (MB) by concurrency."""

    free: dict[Cell, list[Segment]] = field(default_factory=lambda: defaultdict(list))
    pinned: dict[Cell, list[Segment]] = field(default_factory=lambda: defaultdict(list))
    resident: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def rates(self, cell: Cell) -> tuple[float, ...]:
        return tuple(each.rate for each in self.free[cell])

    def costs(self, cell: Cell) -> tuple[float, ...]:
        return tuple(each.cost for each in self.free[cell])


Contender = Callable[[Bed, str, int], AbstractContextManager[int]]


def run(bed: Bed) -> Findings:
    cells = QUICK if bed.quick else CELLS
    backlog = bed.size(BACKLOG, 10_000)
    bed.say(f"writing {backlog:,} events of as many ids")
    topic = bed.filled(cart(number, 1) for number in range(backlog))
    contenders: dict[str, Contender] = {"worker": _worker, "bare": _bare}
    if bed.beside is not None:
        contenders["beside"] = _beside
    runs = {name: Runs() for name in contenders}
    for number in range(bed.rounds):
        for concurrency, latencies in cells.items():
            for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
                with contenders[name](bed, topic, concurrency) as pid:
                    _measure(bed, runs[name], pid, concurrency, latencies)
        worker = runs["worker"].free
        bed.say(
            f"round {number + 1}: " + ", ".join(f"{c} at {ms} ms {s[-1].rate:,.0f}/s" for (c, ms), s in worker.items())
        )
    ours, bare, beside = runs["worker"], runs["bare"], runs.get("beside")
    figures = [figure for cell in _sorted(ours) for figure in _figures(cell, ours, bare)]
    figures += _memory(ours)
    if beside is not None:
        figures += [figure for cell in _sorted(ours) for figure in _against(cell, ours, beside)]
    return Findings(figures, [_plot(ours, bare)])


def _sorted(runs: Runs) -> list[Cell]:
    return sorted(runs.free, key=lambda cell: (cell[1], cell[0]))


def _measure(bed: Bed, runs: Runs, pid: int, concurrency: int, latencies: tuple[int, ...]) -> None:
    for latency in latencies:
        seconds = bed.seconds(2.5 if latency >= 200 else 1.5, 0.5)
        runs.free[concurrency, latency].append(bed.api.segment(pid, concurrency, latency / 1000, seconds))
        if latency >= 10:
            runs.resident[concurrency].append(usage(pid).resident)
    if latencies[-1] == 0:
        pin(pid)
        runs.pinned[concurrency, 0].append(bed.api.segment(pid, concurrency, 0.0, bed.seconds(1.5, 0.5)))


@contextmanager
def _worker(bed: Bed, topic: str, concurrency: int, *, other: bool = False) -> Iterator[int]:
    bed.api.set(latency=0.5, reset=True)
    settings = {
        "OPTICO_MAX_CONCURRENCY": str(concurrency),
        "WORKER_COLLAPSE_WINDOW_MS": "0",
        "WORKER_MAX_PENDING": str(BACKLOG),
    }
    with bed.worker(topic, settings, checkout=bed.beside if other else None) as worker:
        wait_until(bed.api.requests, "the first request", 60)
        yield worker.pid


def _beside(bed: Bed, topic: str, concurrency: int) -> AbstractContextManager[int]:
    return _worker(bed, topic, concurrency, other=True)


@contextmanager
def _bare(bed: Bed, _: str, concurrency: int) -> Iterator[int]:
    bed.api.set(latency=0.5, reset=True)
    with bed.program("tests.bench.bare", "http", bed.api.url, concurrency) as client:
        wait_until(bed.api.requests, "the first request", 60)
        yield client.pid


def _figures(cell: Cell, ours: Runs, bare: Runs) -> Iterator[Figure]:
    concurrency, latency = cell
    rates, name = ours.rates(cell), f"API at {latency} ms, {concurrency} at once"
    beside_bare = concurrency > FEW or latency < SLOW
    goal = Goal("at least", 0.45 if latency == 0 else 0.95, "ratio") if beside_bare else None
    yield Figure(name, "requests/s", rates, "bare HTTP client", bare.rates(cell), goal)
    cost = Goal("at most", 70) if latency == 0 else None
    yield Figure(f"{name}: cost", "µs CPU a request", ours.costs(cell), "bare HTTP client", bare.costs(cell), cost)
    if not beside_bare:
        possible = (concurrency / latency * 1000,) * len(rates)
        yield Figure(
            f"{name}, of what is possible",
            "requests/s",
            rates,
            "concurrency ÷ latency",
            possible,
            Goal("at least", 0.95, "ratio"),
        )
    if latency == 0:
        yield from _on_one_core(cell, ours, bare)
        busy = [max(one.busy, other.busy) for one, other in zip(ours.free[cell], bare.free[cell], strict=True)]
        what = "the target's share of one core, with the faster of the two"
        yield Figure(f"{name}: {what}", "%", tuple(busy), goal=Goal("at most", 75))


def _on_one_core(cell: Cell, ours: Runs, bare: Runs) -> Iterator[Figure]:
    """The same process, held to one core: what threads cost that hand the interpreter from core to core."""
    name, segments = f"API at 0 ms, {cell[0]} at once, held to one core", ours.pinned[cell]
    rates = tuple(each.rate for each in segments)
    yield Figure(name, "requests/s", rates, "bare HTTP client on two", bare.rates(cell), Goal("at least", 0.6, "ratio"))
    costs = tuple(each.cost for each in segments)
    bares = tuple(each.cost for each in bare.pinned[cell])
    yield Figure(f"{name}: cost", "µs CPU a request", costs, "bare HTTP client on one", bares, Goal("at most", 50))


def _against(cell: Cell, ours: Runs, beside: Runs) -> Iterator[Figure]:
    name = f"API at {cell[1]} ms, {cell[0]} at once"
    yield Figure(
        f"{name}, beside the other version", "requests/s", ours.rates(cell), "the other version", beside.rates(cell)
    )
    yield Figure(
        f"{name}: cost, beside the other version",
        "µs CPU a request",
        ours.costs(cell),
        "the other version",
        beside.costs(cell),
    )
    for pinned, others in ((ours.pinned[cell], beside.pinned[cell]),) if cell in ours.pinned else ():
        yield Figure(
            f"{name}, held to one core, beside the other version",
            "requests/s",
            tuple(each.rate for each in pinned),
            "the other version on one core",
            tuple(each.rate for each in others),
        )


def _memory(ours: Runs) -> Iterator[Figure]:
    few, many = ours.resident.get(32), ours.resident.get(max(CELLS))
    if few and many:
        more = tuple(many[at] - max(few) for at in range(len(many)))
        yield Figure(f"memory with {max(CELLS):,} in flight, above that with 32", "MB", more, goal=Goal("at most", 25))


def _plot(ours: Runs, bare: Runs) -> Plot:
    lines: dict[str, list[tuple[float, float]]] = {}
    for concurrency in (16, 32, 64):
        for who, runs in (("worker", ours), ("bare client", bare)):
            found = [
                (float(latency), sorted(each.rate for each in segments)[len(segments) // 2])
                for (at, latency), segments in runs.free.items()
                if at == concurrency and latency
            ]
            if found:
                lines[f"{who}, {concurrency} at once"] = sorted(found)
    title = "Requests a second by the API's latency"
    return Plot("delivery", title, "latency of the API, ms", "requests/s", lines, log_x=True, log_y=True)
