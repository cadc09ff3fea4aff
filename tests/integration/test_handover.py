"""A request that was given up, whose partition moves before it lands."""

import time
from dataclasses import replace

from tests.brokers.tools import Record, wait_until
from tests.integration.events import cart, version
from tests.integration.process import worker
from tests.integration.test_life import Stages

#: One in each partition: so few do not open the circuit breaker.
CARTS = ["a", "b"]
#: Requests are given up after a second, and take effect long after the partition's next owner was answered.
SETTINGS = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "OPTICO_TIMEOUT_SECONDS": "1"}
LATE = 13.0
#: Sooner than ten seconds after what its successor delivers, which has to start first.
LATE_AFTER_DEATH = 8.0


def states(number: int) -> list[Record]:
    return [replace(cart(id_, number), partition=at) for at, id_ in enumerate(CARTS)]


def test_a_request_that_lands_after_its_partition_has_moved_does_not_win(stage: Stages) -> None:
    s = stage(partitions=2)
    settings = s.settings(**SETTINGS)
    with worker(**settings) as first:
        first.wait_ready()
        s.api.set_faults([{"hang": True, "apply_after_ms": LATE * 1000, "count": len(CARTS)}, {"status": 503}])
        began = time.monotonic()
        s.produce(states(1))
        wait_until(lambda: first.total("retries_total") >= len(CARTS), "both to be given up", 10)
        with worker(**settings) as second:
            wait_until(lambda: second.total("assigned_partitions") == 1, "a partition to move", 20)
            s.produce(states(2))
            # While nothing is accepted, or the former state might still be delivered before.
            wait_until(lambda: second.total("events_consumed_total") == 2, "the newer state to be read")
            s.api.clear_faults()
            wait_until(lambda: len(s.held()) == len(CARTS), "both to be delivered", 20)
            assert time.monotonic() - began < LATE, "they land too early to prove anything"
            assert {version(params) for params in s.held().values()} == {2}
            s.wait_all_committed()
            assert s.api.state().applied_late == len(CARTS)
            assert {version(params) for params in s.held().values()} == {2}
            assert second.metrics()["events_delivered_total{entity=cart}"] == 1
            assert second.stop() == 0
        assert first.stop() == 0


def test_a_request_of_a_killed_process_does_not_win_over_what_its_successor_sends_at_once(stage: Stages) -> None:
    """A static member that restarts waits for no session timeout, and was told nothing by who was killed."""
    s = stage()
    settings = s.settings(KAFKA_GROUP_INSTANCE_ID="one", KAFKA_SESSION_TIMEOUT_MS="20000")
    with worker(**settings) as first:
        first.wait_ready()
        s.api.set_faults([{"hang": True, "apply_after_ms": LATE_AFTER_DEATH * 1000, "count": 1}])
        began = time.monotonic()
        s.produce([cart("a", 1)])
        wait_until(lambda: s.api.state().in_flight == 1, "a request in flight", 10)
        first.kill()
    with worker(**settings) as second:
        s.produce([cart("a", 2)])
        wait_until(s.held, "the newer state to be delivered", 20)
        assert time.monotonic() - began < LATE_AFTER_DEATH, "it lands too early to prove anything"
        assert s.api.state().applied_late == 0
        wait_until(lambda: s.api.state().applied_late == 1, "the older state to land", 20)
        s.wait_all_committed()
        assert {version(params) for params in s.held().values()} == {2}
        assert second.stop() == 0
    with worker(**settings) as third:
        third.wait_ready()
        s.produce([cart("a", 3)])
        s.wait_all_committed()
        assert third.metrics()["requests_total{entity=cart,outcome=delivered}"] == 1, "who stopped left nothing unclear"
        assert third.stop() == 0
