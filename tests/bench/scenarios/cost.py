"""What it takes to start, and to catch up after an outage."""

import time

from tests.bench.bed import Bed, BenchWorker, every, produce
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings
from tests.brokers.tools import wait_until

OUTAGE, RATE, EVENTS_AN_ID = 600, 100, 10
LATENCY, CONCURRENCY = 0.05, 32


def run(bed: Bed) -> Findings:
    starts = [_start(bed) for _ in range(bed.rounds)]
    bed.say("start to first delivery: " + ", ".join(f"{each[0]:.2f} s" for each in starts))
    outages = [_outage(bed) for _ in range(1 if bed.quick else max(1, bed.rounds - 1))]
    events = outages[0][2]
    ids = events // EVENTS_AN_ID
    bed.say(
        f"after the outage: {outages[-1][0]:.1f} s from the first answer to the last, {outages[-1][1]:.1f} s in all"
    )
    least = ids * LATENCY / CONCURRENCY
    return Findings(
        [
            Figure("start of the process to the first request, one event waiting", "s", tuple(s[0] for s in starts)),
            Figure("processor time of the start", "s CPU", tuple(s[1] for s in starts)),
            Figure(
                f"catching up after an outage of the API of 10 min at {RATE} events/s ({events:,} events, {ids:,} ids)",
                "s",
                tuple(each[0] for each in outages),
                "ids * latency ÷ concurrency",
                (least,) * len(outages),
            ),
            Figure("… with the wait for the next probe", "s", tuple(each[1] for each in outages)),
        ]
    )


def _start(bed: Bed) -> tuple[float, float]:
    topic = bed.filled([cart(1, 1)])
    bed.api.set(latency=0, status=200, reset=True)
    started = time.time()
    with bed.worker(topic) as worker:
        wait_until(bed.api.requests, "the first request", 30)
        return bed.api.log()[0].arrived - started, worker.cpu()


def _outage(bed: Bed) -> tuple[float, float, int]:
    """The API answers 503 while ten minutes' events come in, at once here. Seconds from its first good answer, and
    from its return; and how many events."""
    topic = bed.topic()
    events = bed.size(OUTAGE * RATE, 3_000)
    ids = events // EVENTS_AN_ID
    bed.api.set(latency=LATENCY, status=503, reset=True)
    with bed.worker(topic, {"OPTICO_MAX_CONCURRENCY": str(CONCURRENCY)}) as worker:
        worker.ready(4)
        produce(bed.kafka.bootstrap, topic, (cart(number % ids, number + 1) for number in range(events)))
        wait_until(every(0.1, lambda: _held(worker, events)), "the outage", 60)
        back = time.time()
        bed.api.set(status=200, reset=True)
        wait_until(every(0.1, lambda: worker.sum("pending_entities") == 0), "it to catch up", 120)
        answered = [each.answered for each in bed.api.log() if each.status == 200 and each.answered]
    return max(answered) - min(answered) + LATENCY, max(answered) - back, events


def _held(worker: BenchWorker, events: int) -> bool:
    return worker.sum("events_consumed_total") == events and worker.sum("sending_paused") > 0
