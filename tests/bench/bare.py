"""The limits: what the libraries do alone, with nothing of ours around them.

python -m tests.bench.bare intake BOOTSTRAP TOPIC RECORDS   kafka-python's poll and orjson; prints JSON
python -m tests.bench.bare http URL CONCURRENCY              pyreqwest's async client on uvloop, until it is ended
python -m tests.bench.bare freshness BOOTSTRAP TOPIC RECORDS from the producer's send to the record in hand; JSON
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import uvloop
from kafka import KafkaConsumer, TopicPartition
from pyreqwest.client import ClientBuilder

from tests.bench.load import BODY


def _consumer(bootstrap: str, topic: str) -> Any:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        max_poll_records=4000,
        max_partition_fetch_bytes=256 * 1024,
        fetch_max_bytes=8 * 1024 * 1024,
        metrics_enabled=False,
    )
    consumer.assign([TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)])
    consumer.seek_to_beginning()
    return consumer


def _records(bootstrap: str, topic: str, records: int) -> Iterator[list[Any]]:
    """What each poll brings."""
    # As the worker sets it: the limit is the library's, not the collector's.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    consumer = _consumer(bootstrap, topic)
    read = 0
    while read < records:
        for batch in consumer.poll(timeout_ms=500).values():
            yield batch
            read += len(batch)
    consumer.close()


def intake(bootstrap: str, topic: str, records: str) -> None:
    read, first, started, cpu = 0, 0, 0.0, 0.0
    ended, cpu_ended = 0.0, 0.0
    for batch in _records(bootstrap, topic, int(records)):
        for record in batch:
            orjson.loads(record.value)
        read += len(batch)
        ended, cpu_ended = time.perf_counter(), time.process_time()
        if not started:  # connecting is not reading
            started, cpu, first = ended, cpu_ended, read
    _tell({"rate": (read - first) / (ended - started), "cost": (cpu_ended - cpu) / (read - first) * 1e6})


def http(url: str, concurrency: str) -> None:
    client = (
        ClientBuilder()
        .default_headers({"content-type": "application/x-www-form-urlencoded", "accept": "application/json"})
        .timeout(timedelta(seconds=5))
        .pool_max_idle_per_host(int(concurrency))
        .build()
    )

    async def post() -> None:
        while True:
            response = await client.post(url + "/api/customer-cart").body_bytes(BODY).build().send()
            await response.bytes()

    async def all_of_them() -> None:
        await asyncio.gather(*(post() for _ in range(int(concurrency))))

    uvloop.run(all_of_them())


def freshness(bootstrap: str, topic: str, records: str) -> None:
    """The version is the time of sending (UNIX, µs). Prints pairs of it and the seconds that it took."""
    ages = []
    for batch in _records(bootstrap, topic, int(records)):
        now = time.time()
        versions = [orjson.loads(record.value)["products"][0]["quantity"] for record in batch]
        ages += [(version, now - version / 1e6) for version in versions]
    _tell(ages)


def _tell(found: Any) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


MEASURES: dict[str, Callable[..., None]] = {"intake": intake, "http": http, "freshness": freshness}

if __name__ == "__main__":
    MEASURES[sys.argv[1]](*sys.argv[2:])
