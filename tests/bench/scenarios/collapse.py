"""Collapsing: requests sent beside the least that could do, by skew and window; and a backlog of a million events."""

import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial

from tests.bench.bed import Bed, BenchWorker, every, paced
from tests.bench.events import cart, round_robin, zipf
from tests.bench.figures import Figure, Findings, Goal, Plot
from tests.brokers.tools import read_all, wait_until

SKEWS = (0.8, 1.1, 1.4)
WINDOWS_MS = (100, 500, 2000)
IDS, RATE = 2000, 500
#: What the API takes; long enough to be real, short enough to leave the windows as they are.
LATENCY = 0.005


def run(bed: Bed) -> Findings:
    figures: list[Figure] = []
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    seconds = bed.seconds(8.0, 3.0)
    for skew in SKEWS[:1] if bed.quick else SKEWS:
        sent, least, events = _traffic(bed, skew, seconds)
        for window in WINDOWS_MS:
            limit = f"least for that window; {events:,} events"
            goal = Goal("at most", 1.05, "ratio")
            name = f"Zipf {skew}, window {window} ms"
            figures.append(Figure(name, "requests", (sent[window],), limit, (least[window],), goal))
            lines[f"sent, window {window} ms"].append((skew, sent[window] / events))
            lines[f"least, window {window} ms"].append((skew, least[window] / events))
        bed.say(f"Zipf {skew}: {events:,} events, " + ", ".join(f"{w} ms {sent[w]:,.0f}" for w in WINDOWS_MS))
    plot = Plot("collapse", "Requests an event by skew", "Zipf exponent", "requests an event", dict(lines))
    return Findings([*figures, *_backlog(bed)], [plot])


def _traffic(bed: Bed, skew: float, seconds: float) -> tuple[dict[int, float], dict[int, float], int]:
    """Three workers, one for each window, on the same topic at the same time."""
    topic = bed.topic()
    draw = zipf(IDS, skew, seed=int(skew * 10))
    with ExitStack() as stack:
        apis = {window: stack.enter_context(bed.target()) for window in WINDOWS_MS}
        workers = [
            stack.enter_context(bed.worker(topic, {"WORKER_COLLAPSE_WINDOW_MS": str(window)}, api=apis[window]))
            for window in WINDOWS_MS
        ]
        for api in apis.values():
            api.set(latency=LATENCY)
        for worker in workers:
            worker.ready(4)
        paced(bed.kafka.bootstrap, topic, RATE, seconds, lambda _, at: cart(next(draw), at))
        for worker in workers:
            wait_until(every(0.2, partial(_done, worker, int(RATE * seconds))), "all to be sent", 30)
        sent = {window: float(api.requests()) for window, api in apis.items()}
    records = read_all(bed.kafka.bootstrap, topic)
    times: dict[bytes | None, list[float]] = defaultdict(list)
    for record in records:
        times[record.key].append((record.timestamp or 0) / 1000)
    least = {window: float(sum(least_requests(each, window / 1000) for each in times.values())) for window in sent}
    return sent, least, len(records)


def _done(worker: BenchWorker, events: int) -> bool:
    return worker.sum("events_consumed_total") >= events and worker.sum("pending_entities") == 0


def least_requests(times: Iterable[float], window: float) -> int:
    """The fewest moments such that each event has one within the window after it."""
    count, covered = 0, float("-inf")
    for at in sorted(times):
        if at > covered:
            count, covered = count + 1, at + window
    return count


def _backlog(bed: Bed) -> list[Figure]:
    events, ids = bed.size(1_000_000, 20_000), bed.size(20_000, 1_000)
    bed.say(f"writing {events:,} events over {ids:,} ids")
    topic = bed.filled(round_robin(events, ids), partitions=6)
    bed.api.set(latency=0, reset=True)
    started = time.monotonic()
    with bed.worker(topic) as worker:
        wait_until(every(0.5, lambda: _done(worker, events)), "the backlog to be sent", 300)
        taken = time.monotonic() - started
        requests = bed.api.requests()
        newest = {str(number % ids): number + 1 for number in range(events - ids, events)}
        held = {each.id: each.version for each in sorted(bed.api.log(), key=lambda each: each.arrived)}
        wrong = sum(held.get(name) != version for name, version in newest.items())
    bed.say(f"backlog: {requests:,} requests for {ids:,} ids in {taken:.0f} s; {wrong} not in their newest state")
    return [
        Figure(
            f"backlog of {events:,} events over {ids:,} ids",
            "requests",
            (float(requests),),
            "one an id",
            (float(ids),),
            Goal("at most", 1.1, "ratio"),
        ),
        Figure(
            "ids of the backlog that are not in their newest state", "ids", (float(wrong),), goal=Goal("at most", 0)
        ),
        Figure("backlog, from the start of the process to the last answer", "s", (taken,)),
    ]
