"""What an idle worker takes, by how many partitions it owns, and how fresh what it knows of them is meanwhile."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from kafka import KafkaProducer

from tests.bench.bed import Bed, BenchWorker, every
from tests.bench.events import cart
from tests.bench.figures import Figure, Findings, Goal, percentile
from tests.bench.machine import cpu_now
from tests.brokers.tools import wait_until

PARTITIONS = (10, 100, 1_000, 3_000)
#: The part of a core (%) that a worker with so many partitions takes at most.
GOALS = {1_000: Goal("at most", 2.0), 3_000: Goal("at most", 5.0)}
#: An open transaction is lag at the next look at the log ends: the interval, its answer, and the metrics' page.
LAG_WITHIN = Goal("at most", 11.0)
EVENTS, LOOKS = 20, 20


@dataclass(frozen=True)
class Idle:
    """`share` in % of a core; `page`: ms of processor time for one answer of `/metrics`; `lag` in s, `ages` in ms."""

    share: float
    resident: float
    page: float
    lag: float
    ages: Sequence[float]


def run(bed: Bed) -> Findings:
    """One round: processor time over so many seconds hardly varies."""
    found = {number: _idle(bed, number) for number in (PARTITIONS[1:2] if bed.quick else PARTITIONS)}
    told = ", ".join(f"{number:,}: {each.share:.1f} %" for number, each in found.items())
    bed.say(f"of a core, by partitions: {told}")
    return Findings([figure for number, each in found.items() for figure in _figures(number, each)])


def _figures(number: int, found: Idle) -> Iterator[Figure]:
    yield Figure(f"{number:,} partitions", "% of a core", (found.share,), goal=GOALS.get(number))
    yield Figure("… memory", "MB", (found.resident,))
    yield Figure("… one answer of /metrics", "ms CPU", (found.page,))
    yield Figure("… until an open transaction is lag", "s", (found.lag,), goal=LAG_WITHIN)
    yield Figure("… an event to its acceptance, beyond the window, p50", "ms", (percentile(found.ages, 0.5),))


def _idle(bed: Bed, partitions: int) -> Idle:
    topic = bed.topic(partitions)
    with bed.worker(topic, {"WORKER_COLLAPSE_WINDOW_MS": "0"}) as worker:
        worker.ready(partitions)
        wait_until(every(0.5, partial(_at_rest, worker, partitions)), "all to be committed", 60)
        time.sleep(bed.seconds(3.0, 0.5))
        seconds = bed.seconds(20.0, 2.0)
        before = cpu_now(worker.pid)
        time.sleep(seconds)
        share = (cpu_now(worker.pid) - before) / seconds * 100
        resident = worker.resident()
        page = _page(worker)
        ages = _ages(bed, topic, partitions)
        lag = _lag(bed, worker, topic, partitions)
    bed.say(f"{partitions:,} partitions: {share:.1f} % of a core, {resident:.0f} MB, lag after {lag:.1f} s")
    return Idle(share, resident, page, lag, ages)


def _at_rest(worker: BenchWorker, partitions: int) -> bool:
    """Every partition has its marker, and its log end is known."""
    page = worker.page()
    return all(page.count(f"optico_worker_{name}{{") == partitions for name in ("committed_offset", "consumer_lag"))


def _page(worker: BenchWorker) -> float:
    """Threads that answer are gone afterwards: the kernel's sum has them, in steps of 10 ms."""
    before = worker.cpu()
    for _ in range(LOOKS):
        worker.page()
    return (worker.cpu() - before) / LOOKS * 1000


def _ages(bed: Bed, topic: str, partitions: int) -> list[float]:
    """From the producer's send to the API's answer (ms), each in another partition that was idle before."""
    bed.api.set(latency=0, status=200, reset=True)
    producer = KafkaProducer(bootstrap_servers=bed.kafka.bootstrap, acks=1, linger_ms=0, metrics_enabled=False)
    producer.partitions_for(topic)
    for number in range(EVENTS + 1):
        key, value = cart(number, time.time_ns() // 1000)
        producer.send(topic, key=key, value=value, partition=number * partitions // (EVENTS + 1))
        time.sleep(0.1)
    producer.close(30)
    wait_until(every(0.1, lambda: bed.api.requests() == EVENTS + 1), "all to be sent", 30)
    first, *rest = bed.api.log()  # connections are made for the first one
    del first
    return [(each.answered - each.version / 1e6) * 1000 for each in rest]


def _lag(bed: Bed, worker: BenchWorker, topic: str, partitions: int) -> float:
    """Until a record that can't be read yet is seen as lag (s)."""
    wait_until(every(0.2, lambda: worker.sum("consumer_lag") == 0), "all to be committed", 30)
    with _transaction(bed) as producer:
        producer.send(topic, key=b"cart:1", value=cart(1, 1)[1], partition=partitions - 1).get(30)
        since = time.monotonic()
        wait_until(every(0.2, lambda: worker.sum("consumer_lag") > 0), "lag", 30)
        return time.monotonic() - since


@contextmanager
def _transaction(bed: Bed) -> Iterator[Any]:
    """A producer with a transaction that is open until the block ends, and aborted then."""
    producer = KafkaProducer(
        bootstrap_servers=bed.kafka.bootstrap, acks="all", transactional_id=f"bench-{secrets.token_hex(4)}"
    )
    with ExitStack() as stack:
        stack.callback(producer.close, 30)
        producer.init_transactions()
        producer.begin_transaction()
        stack.callback(producer.abort_transaction)
        yield producer
