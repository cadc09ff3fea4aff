"""A worker under sample traffic, and the Prometheus that watches it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.brokers.tools import wait_until
from tests.integration.process import KEY, WorkerProcess
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.tools import program
from worker.sandbox.api import Sandbox
from worker.sandbox.broker import EmbeddedBroker
from worker.sandbox.demo.feed import Feed
from worker.sandbox.traffic import UNKNOWN_VISIT, traffic

TOPIC, LETTERS = "monitored", "monitored-dead-letters"
#: As an outage that opens the circuit breaker.
OUTAGE = [{"status": 503}]


@dataclass(frozen=True)
class Watched:
    prometheus: Prometheus
    worker: WorkerProcess


@pytest.fixture(scope="module")
def watched(embedded: EmbeddedBroker) -> Iterator[Watched]:
    """Half a minute of traffic with rejections, dead letters and an outage, all of it scraped."""
    program("prometheus")
    embedded.create_topic(TOPIC, 2)
    embedded.create_topic(LETTERS)
    with ExitStack() as stack:
        api = stack.enter_context(Sandbox({KEY}, unknown_visits=frozenset({UNKNOWN_VISIT})))
        worker = stack.enter_context(WorkerProcess(_settings(embedded, api)))
        prometheus = stack.enter_context(Prometheus(worker.url("").removeprefix("http://")))
        worker.wait_ready()
        stack.enter_context(Feed(embedded.bootstrap, TOPIC, traffic(1, 150)))
        _let_happen(worker, prometheus, api)
        yield Watched(prometheus, worker)


def _let_happen(worker: WorkerProcess, prometheus: Prometheus, api: Sandbox) -> None:
    def see(expr: str) -> None:
        wait_until(lambda: prometheus.ask(expr), f"Prometheus to see {expr}", 40)

    delivered = "sum(optico_worker_events_delivered_total)"
    see(f"{delivered} > 50")
    api.set_faults(OUTAGE)
    see('ALERTS{alertname="OpticoWorkerSendingPaused"}')
    api.clear_faults()
    see("sum(optico_worker_sending_paused) == 0")
    before = worker.total("events_delivered_total")
    see(f"{delivered} > {before + 50}")
    see("sum(optico_worker_dead_letters_total) > 0")
    see("sum(optico_worker_events_skipped_total) > 0")


def _settings(broker: EmbeddedBroker, api: Sandbox) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_TOPICS": TOPIC,
        "KAFKA_DLQ_TOPIC": LETTERS,
        "KAFKA_GROUP_ID": "monitored",
        # The embedded broker knows no other, and forms a group half a session time-out after its first member came.
        "KAFKA_ASSIGNOR": "range",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "OPTICO_URL": api.url,
    }
