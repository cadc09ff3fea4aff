"""More workers: requests a second of 1, 2 and 4 on eight partitions."""

import time
from contextlib import ExitStack

from tests.bench.api import rate_of
from tests.bench.bed import Bed, produce
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings, Goal, Plot
from tests.brokers.tools import wait_until

WORKERS = (1, 2, 4)
PARTITIONS, CONCURRENCY, LATENCY = 8, 32, 0.1


def run(bed: Bed) -> Findings:
    rates: dict[int, list[float]] = {count: [] for count in (WORKERS[:2] if bed.quick else WORKERS)}
    for number in range(bed.rounds):
        for count, each in rates.items():
            each.append(_rate(bed, count))
        bed.say(f"round {number + 1}: " + ", ".join(f"{count} at {each[-1]:,.0f}/s" for count, each in rates.items()))
    single = tuple(rates[1])
    possible = CONCURRENCY / LATENCY
    figures = [Figure("1 worker", "requests/s", single, "concurrency ÷ latency", (possible,) * bed.rounds)]
    figures += [
        Figure(
            f"{count} workers",
            "requests/s",
            tuple(each),
            f"{count} times one",
            tuple(count * one for one in single),
            Goal("at least", 0.95, "ratio"),
        )
        for count, each in rates.items()
        if count > 1
    ]
    lines = {
        "measured": [(float(count), sorted(each)[len(each) // 2]) for count, each in rates.items()],
        "concurrency ÷ latency": [(float(count), count * possible) for count in rates],
    }
    return Findings(figures, [Plot("scale", "Requests a second by workers", "workers", "requests/s", lines)])


def _rate(bed: Bed, count: int) -> float:
    topic = bed.topic(PARTITIONS)
    bed.api.set(latency=LATENCY, reset=True)
    seconds = bed.seconds(4.0, 1.5)
    with ExitStack() as stack:
        workers = []
        for _ in range(count):
            settings = {"OPTICO_MAX_CONCURRENCY": str(CONCURRENCY), "WORKER_COLLAPSE_WINDOW_MS": "0"}
            workers.append(stack.enter_context(bed.worker(topic, settings, group=topic)))
        for worker in workers:
            worker.ready(PARTITIONS // count)
        # Enough for all of them to the end, and evenly over the partitions.
        backlog = int(count * CONCURRENCY / LATENCY * (seconds + 3))
        produce(bed.kafka.bootstrap, topic, (cart(number, 1) for number in range(backlog)))
        wait_until(bed.api.requests, "the first request", 30)
        time.sleep(1.0)
        bed.api.set(reset=True)
        time.sleep(seconds)
        return rate_of([each.arrived for each in bed.api.log()], count * CONCURRENCY)
