"""kafka-python and requests in a pool of threads: what a poll brings is sent at once, then committed."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import local
from typing import Any

import requests  # type: ignore[import-untyped]
from kafka import KafkaConsumer

from tests.bench.peers.work import BOOTSTRAP, CONCURRENCY, GROUP, HEADERS, SESSION_MS, TIMEOUT, TOPIC, URL, body

_own = local()


def send(record: Any) -> None:
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
    _own.session.post(URL, data=body(record.value), headers=HEADERS, timeout=TIMEOUT).raise_for_status()


def main() -> None:
    consumer = KafkaConsumer(
        TOPIC,
        bootstrap_servers=BOOTSTRAP,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
    )
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        while True:
            batches = consumer.poll(timeout_ms=500)
            if batches:
                list(pool.map(send, chain.from_iterable(batches.values())))
                consumer.commit()


if __name__ == "__main__":
    main()
