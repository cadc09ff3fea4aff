"""An open transaction is seen: by the metrics, by `check` and by a replay; what can be read is not held back by it."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kafka import KafkaProducer

from tests.brokers.tools import wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart, version
from tests.integration.process import worker
from tests.integration.test_life import Stages
from tests.ops.program import inside

CALM = {"OPTICO_API_KEY": "sk_fake_0123456789abcdef"}


@contextmanager
def transactional(s: Stage) -> Iterator[Any]:
    name = f"test-{secrets.token_hex(4)}"
    producer = KafkaProducer(bootstrap_servers=s.bootstrap, acks="all", transactional_id=name)
    producer.init_transactions()
    try:
        yield producer
    finally:
        producer.close(30)


def write(producer: Any, s: Stage, partition: int, id_: str, at: int) -> None:
    record = cart(id_, at)
    producer.send(s.topic, key=record.key, value=record.value, partition=partition).get(30)


@contextmanager
def exactly_once(s: Stage, partition: int) -> Iterator[None]:
    """A healthy producer that always has a transaction open, each for 100 ms."""
    done = threading.Event()

    def produce() -> None:
        with transactional(s) as producer:
            while not done.is_set():
                producer.begin_transaction()
                write(producer, s, partition, "healthy", 1)
                done.wait(0.1)
                producer.commit_transaction()

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)


def test_an_open_transaction_is_lag_and_said_and_a_healthy_producer_is_not(stage: Stages) -> None:
    s = stage(partitions=2)
    s.produce([replace(cart("1", number), partition=0) for number in range(1, 6)])
    stuck, healthy = f"partition=0,topic={s.topic}", f"partition=1,topic={s.topic}"
    with transactional(s) as hanging, exactly_once(s, 1):
        hanging.begin_transaction()
        write(hanging, s, 0, "1", 6)
        s.produce([replace(cart("2", number), partition=0) for number in range(1, 21)])
        with worker(**s.settings()) as w:
            # Catching up ends at the last stable offset: what can be read is sent at once.
            wait_until(lambda: ("cart", "1") in s.held(), "what was written before the transaction", 20)
            wait_until(lambda: s.committed().get(0) == 5, "its offset", 10)

            seen: list[dict[str, float]] = []

            def held_up() -> float:
                seen.append(w.metrics())
                return seen[-1].get(f"open_transaction_seconds{{{stuck}}}", 0.0)

            wait_until(held_up, "the open transaction", 30)
            assert {name: seen[-1][f"{name}{{{stuck}}}"] for name in ("consumer_lag", "unread_records")} == {
                "consumer_lag": 21,
                "unread_records": 21,
            }
            assert {sample.get(f"open_transaction_seconds{{{healthy}}}", 0.0) for sample in seen} == {0.0}

            checked = inside("check", "--json", variables=s.settings(**CALM))
            found = {finding["check"]: finding for finding in checked.json["checks"]}
            assert checked.code == 0
            assert (found["transactions"]["subject"], found["transactions"]["verdict"]) == (f"{s.topic}-0", "warn")
            assert found["transactions"]["facts"] == {"offset": 5, "records": 21}
            assert found["lag"]["facts"]["partitions"][f"{s.topic}-0"] == 21

            place = f"{s.topic}:0:5"
            arguments = ("--alongside", "--from", place, "--partition", "0")
            replayed = inside("replay", *arguments, variables=s.settings(**CALM))
            assert replayed.code == 0
            assert "nothing in the range can be read" in replayed.err
            assert "an open transaction holds up 21 records from offset 5 on" in replayed.err

            hanging.commit_transaction()
            wait_until(lambda: ("cart", "2") in s.held(), "what the transaction held up", 20)
            wait_until(lambda: not held_up(), "the metric to return to 0", 20)
            assert w.stop() == 0
    assert {id_: version(params) for (_, id_), params in s.held().items()} == {"1": 6, "2": 20, "healthy": 1}
