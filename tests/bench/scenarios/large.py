"""Memory with large carts, compressed batches and a live replay: the most that a process holds, and its longest turn.

The worker's scenes run at the default bounds against an API that answers after 20 ms, from a backlog that is written
beforehand, until all is committed and the worker is told to stop.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.bench.bed import Bed, every, produce
from tests.bench.events import VISIT, cart, cart_of
from tests.bench.figures import Figure, Goal, percentile
from tests.bench.machine import usage
from tests.brokers.tools import wait_until
from tests.integration.process import KEY

#: The goals: 256 MiB in MB of 10^6 bytes, and a second (s).
MOST, LONGEST_TURN = 268.0, 1.0
_LARGEST = 12_000_000
_WORDS = ("Veste", "Chemise", "Écharpe", "Bottines", "coton", "laine", "été", "hiver", "édition", "limitée", "garantie")

Records = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Backlog:
    """What is written, over how many partitions, and by what producer."""

    name: str
    records: Callable[[Bed], Records]
    partitions: int = 4
    producer: dict[str, Any] = field(default_factory=dict)


BACKLOGS = (
    Backlog("40 carts of 0.9 MB, not ASCII", lambda _: (_text(number, 900_000, "é") for number in range(40))),
    Backlog("12 carts of 10 MB", lambda _: (cart(number, 1, 10_000_000) for number in range(12))),
    Backlog(
        "15,000 realistic carts in zstd batches of 1 MB",
        lambda bed: (_realistic(number) for number in range(bed.size(15_000, 3_000))),
        partitions=2,
        producer={"compression_type": "zstd", "batch_size": 24_000_000, "linger_ms": 1000},
    ),
    Backlog(
        "10,000 carts of 50 kB", lambda bed: (_text(number, 50_000, "e") for number in range(bed.size(10_000, 500)))
    ),
)


def backlogs(bed: Bed) -> Iterator[Figure]:
    for backlog in BACKLOGS:
        topic = bed.topic(backlog.partitions, {"max.message.bytes": str(_LARGEST)})
        written = 0

        def counted(records: Records) -> Records:
            nonlocal written
            for written, record in enumerate(records, 1):  # noqa: B007 - the count is what is wanted
                yield record

        produce(bed.kafka.bootstrap, topic, counted(backlog.records(bed)), **_large(backlog.producer))
        bed.api.set(latency=0.02, status=200, reset=True)
        with bed.worker(topic, {"KAFKA_DLQ_TOPIC": bed.topic(1, {"max.message.bytes": str(_LARGEST)})}) as worker:
            worker.ready(backlog.partitions)

            def done(most: int = written) -> bool:
                return worker.sum("events_consumed_total") >= most and worker.sum("pending_entities") == 0

            wait_until(every(0.3, done), "the backlog to be sent", 300)
            peak = usage(worker.pid).peak
            worker.stop()
            turn = float(worker.logged("drained")[0]["longest_poll_gap_seconds"])
        bed.say(f"{backlog.name}: {peak:.0f} MB, {turn:.2f} s")
        yield Figure(backlog.name, "MB", (peak,), goal=Goal("at most", MOST))
        yield Figure("… longest turn of the poll", "s", (turn,), goal=Goal("at most", LONGEST_TURN))


def beside_large_carts(bed: Bed) -> Iterator[Figure]:
    """How long ordinary carts take from the producer to the API, without and with a cart of 5,000 lines a second."""
    rate, seconds = 100, bed.seconds(30.0, 4.0)
    topic = bed.topic(4, {"max.message.bytes": str(_LARGEST)})
    with bed.worker(topic, {"WORKER_COLLAPSE_WINDOW_MS": "0"}) as worker:
        worker.ready(4)
        for name, lines in (("ordinary carts alone, p99", 0), ("… beside a cart of 5,000 lines a second, p99", 5_000)):
            bed.api.set(latency=0.02, status=200, reset=True)
            sent: dict[str, float] = {}

            def mixed(lines: int = lines, sent: dict[str, float] = sent) -> Records:
                started = time.time()
                for number in range(int(rate * seconds)):
                    time.sleep(max(0.0, started + number / rate - time.time()))
                    if lines and number % rate == 0:
                        yield cart_of(10**6 + number, 1, lines)
                    sent[str(number)] = time.time()
                    yield cart(number, 1)

            produce(bed.kafka.bootstrap, topic, mixed(), linger_ms=0, max_request_size=_LARGEST)
            wait_until(every(0.3, lambda: worker.sum("pending_entities") == 0), "all to be sent", 120)
            taken = [(each.arrived - sent[each.id]) * 1000 for each in bed.api.log() if each.id in sent]
            yield Figure(name, "ms", (percentile(taken, 0.99),))


def replay(bed: Bed) -> Iterator[Figure]:
    carts = bed.replayed or bed.size(2_000_000, 10_000)
    bed.say(f"writing {carts:,} carts of 2 kB")
    topic = bed.filled((cart(number, 1, 2_000) for number in range(carts)), partitions=6)
    bed.api.set(latency=0, status=200, reset=True)
    environment = bed.environment(topic) | {"OPTICO_API_KEY": KEY, "OPTICO_MAX_REQUESTS_PER_SECOND": "0"}
    command = [sys.executable, "-m", "worker", "replay", "--alongside", "--from", "earliest"]
    command += ["--max-requests-per-second", "0"]
    peak, started = 0.0, time.monotonic()
    with (
        bed.folder.joinpath("replay").open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as ran,
    ):
        while ran.poll() is None:
            try:
                peak = max(peak, usage(ran.pid).peak)
            except (ProcessLookupError, FileNotFoundError):
                break
            bed.api.set(reset=True)  # it keeps what it is sent
            time.sleep(0.5)
    assert ran.returncode == 0, bed.folder.joinpath("replay").read_text()
    bed.say(f"live replay: {peak:.0f} MB, {time.monotonic() - started:.0f} s")
    yield Figure(f"live replay over {carts:,} carts of 2 kB", "MB", (peak,), goal=Goal("at most", MOST))


def _large(producer: dict[str, Any]) -> dict[str, Any]:
    return {"max_request_size": 2 * _LARGEST} | producer


def _text(number: int, size: int, letter: str) -> tuple[bytes, bytes]:
    """A cart whose size is that of its products' names."""
    name = (letter * 100).encode()
    line = b'{"id":%d,"name":"%s","quantity":1,"price":9.99}'
    each = len(line % (0, name))
    lines = b",".join(line % (n, name) for n in range(size // each))
    head = b'{"type":"cart","id":"%d","currency":"EUR","visit_id":"%s","is_logged_in":0,"products":[%s]}'
    return b"cart:%d" % number, head % (number, VISIT.encode(), lines)


def _realistic(number: int) -> tuple[bytes, bytes]:
    """Some dozen products with names and options."""
    draw = random.Random(number)

    def words(count: int) -> str:
        return " ".join(draw.choices(_WORDS, k=count))

    products = [
        {
            "id": draw.randrange(10**6),
            "name": words(6),
            "quantity": draw.randint(1, 3),
            "price": draw.randint(100, 20_000) / 100,
            "details": {"couleur": words(1), "taille": "M", "description": words(30)},
        }
        for _ in range(draw.randint(4, 20))
    ]
    event = {
        "type": "cart",
        "id": str(number),
        "currency": "EUR",
        "visit_id": VISIT,
        "is_logged_in": 1,
        "products": products,
    }
    return b"cart:%d" % number, json.dumps(event, ensure_ascii=False).encode()
