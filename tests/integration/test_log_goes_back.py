"""A broker that lost the end of its log, as by a power failure before it was on disk."""

import os

from tests.brokers.tools import wait_until
from tests.conftest import ClusterFactory
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import KEY, worker
from worker.sandbox.api import Sandbox

TOPIC = "carts"


def test_what_waits_below_the_end_that_a_broker_lost_is_sent_all_the_same(kafka_cluster: ClusterFactory) -> None:
    """The client reads on at the new end, and nobody ever reads again what is below."""
    cluster = kafka_cluster()
    cluster.create_topic(TOPIC)
    segment = cluster.segment(0, TOPIC)
    with Sandbox(keys={KEY}) as api:
        s = Stage(cluster.bootstrap, TOPIC, "group", api)
        api.set_faults([{"status": 503}])
        with worker(**s.settings()) as w:
            s.produce([cart(f"kept-{number}") for number in range(5)])
            kept = segment.stat().st_size
            s.produce([cart(f"lost-{number}") for number in range(5)])
            wait_until(lambda: w.total("events_consumed_total") == 10, "all to be read", 30)
            cluster.kill(0)
            os.truncate(segment, kept)
            cluster.start(0)
            s.produce([cart(f"new-{number}") for number in range(3)])
            wait_until(lambda: w.total("events_consumed_total") == 13, "the new ones to be read", 60)
            api.clear_faults()
            s.wait_all_committed()
            assert w.metrics()["events_released_total{reason=lost}"] == 5
            assert "the log went back" in w.log_text()
            assert w.stop() == 0
    held = {id_ for _, id_ in s.held()}
    assert held == {*(f"kept-{number}" for number in range(5)), *(f"new-{number}" for number in range(3))}
