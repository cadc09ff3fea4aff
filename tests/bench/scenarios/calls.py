"""Calls first: how soon a caller's cart is accepted while a backlog waits at the rate limit, and what others get.

100,000 events over 30,000 ids wait in one partition, and 200 requests a second may start: two minutes and a half of
work. Meanwhile calls come, to the same partition and to another one. In the end the same with a bound that is lower
than the backlog: a call's record is behind it, unread.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

from tests.bench.api import Seen
from tests.bench.bed import Bed, BenchWorker, every, paced, produce
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings, Goal, percentile
from tests.brokers.tools import wait_until

EVENTS, IDS, RATE = 100_000, 30_000, 200
CALL_RATES = (2, 100, 180)
#: Calls have ids from here on, each once.
CALLERS = 10_000_000
BACKLOG, OTHER = 0, 1
PLACES = {"the backlog's partition": BACKLOG, "another partition": OTHER}
#: Seconds that the calls of one segment have to be accepted after it.
PATIENCE = 20.0
IN_TIME = Goal("at most", 1.0)
FOR_OTHERS = Goal("at least", 25.0)


@dataclass
class Segment:
    """So many calls a second to one partition. Ages in seconds; `others`: their share of the starts (%)."""

    rate: int
    place: str
    ages: list[float]
    others: float


def run(bed: Bed) -> Findings:
    """One round, however many there are of others: each figure is of thousands of requests, and takes minutes."""
    figures = []
    for each in _segments(bed):
        name = f"{each.rate} calls/s in {each.place}"
        goal = IN_TIME if each.rate < 0.75 * RATE else None  # above it, calls wait for calls
        figures += [
            Figure(f"{name}, p50 from event to accepted", "s", (percentile(each.ages, 0.5),)),
            Figure(f"{name}, p99", "s", (percentile(each.ages, 0.99),), goal=goal),
            Figure(f"{name}, others' share of starts", "%", (each.others,), goal=FOR_OTHERS),
        ]
        bed.say(f"{name}: p99 {percentile(each.ages, 0.99):.2f} s, others {each.others:.0f} %")
    behind = Figure("a call whose record is behind WORKER_MAX_PENDING", "s", (_behind_a_bound(bed),))
    return Findings([*figures, behind])


def _segments(bed: Bed) -> list[Segment]:
    numbers = count(CALLERS)
    topic = _backlog(bed)
    bed.api.set(reset=True, latency=0.02)
    with bed.worker(topic, {"OPTICO_MAX_REQUESTS_PER_SECOND": str(RATE)}) as worker:
        _wait_for_backlog(bed, worker)
        return [_segment(bed, topic, rate, place, numbers) for rate in CALL_RATES for place in PLACES]


def _segment(bed: Bed, topic: str, rate: int, place: str, numbers: Iterator[int]) -> Segment:
    first = next(numbers)
    started = time.time()
    seconds = bed.seconds(18.0, 2.0)
    paced(bed.kafka.bootstrap, topic, rate, seconds, partial(_call, numbers), partition=PLACES[place])
    ended, last = time.time(), next(numbers)

    def mine(log: list[Seen]) -> list[Seen]:
        return [each for each in log if first < int(each.id) < last and each.answered]

    wait_until(every(0.5, lambda: len(mine(bed.api.log())) >= last - first - 1), "the calls to be accepted", PATIENCE)
    log = bed.api.log()
    at = sorted((each.arrived, int(each.id) < CALLERS) for each in log if started + 1 <= each.arrived <= ended)
    starts = Counter(other for _, other in at[: len(at) // 4 * 4])  # whole fours: of each one at least is another's
    ages = [each.answered - each.version / 1e6 for each in mine(log)]
    return Segment(rate, place, ages, 100 * starts[True] / starts.total())


def _behind_a_bound(bed: Bed) -> float:
    """How late a call is whose record is behind the bound, in seconds. What says why is looked at meanwhile."""
    topic = _backlog(bed)
    bed.api.set(reset=True, latency=0.02)
    pending = bed.size(26_000, 3_500)
    settings = {"OPTICO_MAX_REQUESTS_PER_SECOND": str(RATE), "WORKER_MAX_PENDING": str(pending)}
    with bed.worker(topic, settings) as worker:
        wait_until(every(0.2, lambda: worker.sum("intake_paused")), "the bound", 60)
        produce(bed.kafka.bootstrap, topic, [_call(count(CALLERS), 0, time.time_ns() // 1000)], BACKLOG)
        said = worker.get("/readyz")[1]
        assert "max_pending" in said, said
        wait_until(every(0.2, lambda: _of_calls(bed)), "the call to be accepted", 240)
    (call,) = _of_calls(bed)
    return call.answered - call.version / 1e6


def _of_calls(bed: Bed) -> list[Seen]:
    return [each for each in bed.api.log() if int(each.id) >= CALLERS and each.answered]


def _backlog(bed: Bed) -> str:
    draw = random.Random(1)
    ids = bed.size(IDS, 4500)
    topic = bed.topic(2)
    events = (cart(draw.randrange(ids), version) for version in range(bed.size(EVENTS, 15_000)))
    produce(bed.kafka.bootstrap, topic, events, BACKLOG)
    return topic


def _wait_for_backlog(bed: Bed, worker: BenchWorker) -> None:
    """Until all of it is read, and what was saved up of the rate is used up."""
    worker.ready(2)
    burst = RATE + RATE // 2
    wait_until(every(0.2, lambda: bed.api.requests() > burst), "the backlog to be at the rate limit", 60)


def _call(numbers: Iterator[int], _: int, at: int) -> tuple[bytes, bytes]:
    """An agent's cart: a caller's first event, so nothing of it collapses."""
    key, value = cart(next(numbers), at)
    return key, value[:-1] + b',"call_id":7,"agent":"agent.bench"}'
