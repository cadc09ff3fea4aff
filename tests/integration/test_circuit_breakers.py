"""Circuit breakers of the real worker on a real Kafka, with the sandbox as an API that is misled."""

import re
from collections.abc import Callable

from tests.brokers.tools import Record, wait_until
from tests.conftest import TopicFactory
from tests.integration.conftest import Stage
from tests.integration.events import cart, order
from tests.integration.process import WorkerProcess, worker

Stages = Callable[..., Stage]

CONCURRENCY = 8
LIMIT = 20


def paused(process: WorkerProcess, kind: str, reason: str) -> bool:
    return process.metrics()[f"sending_paused{{entity={kind},reason={reason}}}"] == 1


def orders(first: int, last: int) -> list[Record]:
    return [order(f"o{number}") for number in range(first, last)]


def carts(first: int, last: int) -> list[Record]:
    return [cart(f"c{number}") for number in range(first, last)]


def test_an_outage_of_the_orders_stops_no_cart_and_makes_no_order_a_dead_letter(
    stage: Stages, topic: TopicFactory
) -> None:
    """Each delivered cart made an order's attempt count once."""
    s = stage(partitions=2)
    s.api.set_faults([{"kind": "order", "status": 500}])
    with worker(**s.settings(WORKER_MAX_ATTEMPTS="2", KAFKA_DLQ_TOPIC=topic())) as w:
        s.produce([*orders(0, 30), *carts(0, 30)])
        wait_until(lambda: paused(w, "order", "outage"), "the orders' breaker to open", 20)
        for number in range(5):
            s.produce(carts(30 + 10 * number, 40 + 10 * number))
            wanted = 40 + 10 * number
            wait_until(lambda: sum(kind == "cart" for kind, _ in s.held()) == wanted, "all carts", 20)  # noqa: B023
        assert not paused(w, "cart", "outage")
        assert w.total("events_rejected_total") == 0
        s.api.clear_faults()
        s.wait_all_committed()
        assert w.total("events_rejected_total") == 0
        assert w.stop() == 0
        said = [line["entity"] for line in w.logged("sending is paused")]
    assert set(said) == {"order"}
    assert len(s.held()) == 110


def test_mass_rejection_stops_sending_and_ends_by_itself_with_the_command_that_redrives(
    stage: Stages, topic: TopicFactory
) -> None:
    """Orders are refused while carts are taken; each message has a number of its own."""
    s = stage(partitions=2)
    s.api.set_faults([{"kind": "order", "envelope": "Account suspended, case {id}"}])
    settings = s.settings(KAFKA_DLQ_TOPIC=topic(), OPTICO_MAX_CONCURRENCY=str(CONCURRENCY))
    with worker(**settings) as w:
        w.wait_ready()
        s.produce(carts(0, 5))
        wait_until(lambda: len(s.held()) == 5, "the carts", 20)
        for number in range(10):
            s.produce([*orders(60 * number, 60 * (number + 1)), cart(f"c{number + 5}")])
        wait_until(lambda: paused(w, "order", "rejections"), "the orders' breaker to open", 30)
        wait_until(lambda: w.metrics()["retries_total{reason=rejections}"] >= 3, "three probes", 20)
        assert not paused(w, "cart", "rejections")
        assert w.get("/readyz")[0] == w.get("/healthz")[0] == 200
        wait_until(lambda: sum(kind == "cart" for kind, _ in s.held()) == 15, "all carts", 20)
        lost = w.metrics()["events_rejected_total{entity=order,reason=other_error}"]
        assert LIMIT <= lost <= LIMIT + CONCURRENCY
        s.api.clear_faults()
        s.wait_all_committed()
        assert w.metrics()["events_rejected_total{entity=order,reason=other_error}"] == lost
        assert not paused(w, "order", "rejections")
        assert w.stop() == 0
        (line,) = w.logged("sending resumed; events were rejected before it was paused")
    assert sum(kind == "order" for kind, _ in s.held()) == 600 - lost
    assert line["rejected"] == lost
    wanted = r"optico-worker dlq redrive --entity order --reason other_error --since \S+Z --until \S+Z --execute"
    assert re.fullmatch(wanted, line["redrive"])
