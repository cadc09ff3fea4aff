"""Freshness: from the producer's send to the API's acceptance, beyond the window and the API's own time."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from tests.bench.bed import Bed, BenchWorker, every, paced
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings, Goal, Plot, percentile
from tests.brokers.tools import wait_until

RATES = (50, 100, 200)
LATENCY, WINDOW = 0.05, 0.5
BARE = "bare consumer: send to record in hand"
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
GOALS = {"p50": Goal("at most", 5.0), "p99": Goal("at most", 25.0)}

WARM_UP = 100

Ages = dict[int, list[float]]


def run(bed: Bed) -> Findings:
    ours: list[Ages] = []
    bare: list[Ages] = []
    for number in range(bed.rounds):
        beyond, alone = _round(bed)
        ours.append(beyond)
        bare.append(alone)
        told = ", ".join(f"{rate}/s p50 {percentile(beyond[rate], 0.5):.1f} ms" for rate in RATES)
        bed.say(f"round {number + 1}, beyond window and API: {told}")
    figures = [
        Figure(
            f"{rate} requests/s, {name} beyond window + API",
            "ms",
            tuple(percentile(each[rate], share) for each in ours),
            BARE,
            tuple(percentile(each[rate], share) for each in bare),
            GOALS.get(name),
        )
        for rate in RATES
        for name, share in SHARES.items()
    ]
    lines = {f"{rate} requests/s": _distribution([age for each in ours for age in each[rate]]) for rate in RATES}
    title = "Event to acceptance, beyond window and API"
    return Findings(figures, [Plot("freshness", title, "% of events", "ms", lines)])


def _round(bed: Bed) -> tuple[Ages, Ages]:
    """Milliseconds by rate: the worker's, and the bare consumer's over the same events."""
    topic = bed.topic()
    seconds = bed.seconds(6.0, 1.5)
    starts: dict[int, int] = {}
    bed.api.set(latency=LATENCY, reset=True)
    with bed.worker(topic, {"WORKER_COLLAPSE_WINDOW_MS": str(int(WINDOW * 1000))}) as worker:
        worker.ready(4)
        _warm_up(bed, worker, topic)
        events = int(sum(rate * seconds for rate in RATES))
        with bed.program("tests.bench.bare", "freshness", bed.kafka.bootstrap, topic, events + WARM_UP) as bare:
            time.sleep(1.0)  # it connects; what it reads late would count against it
            sent = WARM_UP
            for rate in RATES:
                starts[rate] = time.time_ns() // 1000
                paced(bed.kafka.bootstrap, topic, rate, seconds, partial(_event, sent))
                sent += int(rate * seconds)
            wait_until(every(0.1, lambda: bed.api.requests() >= sent), "all to be sent", 30)
            wait_until(lambda: bare.output.read_text().strip() or not bare.running(), "the bare consumer", 30)
            alone = [(version, age * 1000) for version, age in json.loads(bare.output.read_text())]
        time.sleep(2 * LATENCY)
    beyond = [(each.version, (each.answered - each.version / 1e6 - WINDOW - LATENCY) * 1000) for each in bed.api.log()]
    return _by_rate(beyond, starts), _by_rate(alone, starts)


def _event(base: int, number: int, at: int) -> tuple[bytes, bytes]:
    """Ids from `base` on, each once: every event makes a request."""
    return cart(base + number, at)


def _warm_up(bed: Bed, worker: BenchWorker, topic: str) -> None:
    """Connections are made, code is warm."""
    paced(bed.kafka.bootstrap, topic, WARM_UP, 1.0, cart)
    wait_until(every(0.1, lambda: worker.sum("events_delivered_total") == WARM_UP), "the first to be sent", 30)


def _by_rate(ages: Sequence[tuple[int, float]], starts: dict[int, int]) -> Ages:
    """By the time of sending. The first half second of each rate is the producer's, which connects."""
    found: Ages = defaultdict(list)
    for version, age in ages:
        for rate in reversed(RATES):
            if version >= starts[rate]:
                if version >= starts[rate] + 500_000:
                    found[rate].append(age)
                break
    return found


def _distribution(ages: Sequence[float]) -> list[tuple[float, float]]:
    shares = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99)
    return [(float(share), percentile(ages, share / 100)) for share in shares]
