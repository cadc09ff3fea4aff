"""kafka-python and requests, one event after the other, with the client's own automatic commits."""

import requests  # type: ignore[import-untyped]
from kafka import KafkaConsumer

from tests.bench.peers.work import BOOTSTRAP, GROUP, HEADERS, SESSION_MS, TIMEOUT, TOPIC, URL, body


def main() -> None:
    consumer = KafkaConsumer(
        TOPIC,
        bootstrap_servers=BOOTSTRAP,
        group_id=GROUP,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
    )
    with requests.Session() as session:
        for record in consumer:
            session.post(URL, data=body(record.value), headers=HEADERS, timeout=TIMEOUT).raise_for_status()


if __name__ == "__main__":
    main()
