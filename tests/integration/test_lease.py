"""What a process sends that was not running while its partitions became others'."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.brokers.tools import wait_until
from tests.conftest import ClusterFactory
from tests.integration.conftest import Stage
from tests.integration.events import cart, version
from tests.integration.process import KEY, WorkerProcess, worker
from tests.integration.test_life import Stages
from worker.sandbox.api import Sandbox

CARTS = [str(number) for number in range(40)]
#: The broker's own minimum is 6 s.
SETTINGS = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "OPTICO_TIMEOUT_SECONDS": "2", "OPTICO_MAX_CONCURRENCY": "4"}


@contextmanager
def frozen(process: WorkerProcess) -> Iterator[None]:
    """As by the machine: a paused container, a throttled or migrated host."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def at_rest(process: WorkerProcess) -> bool:
    metrics = process.metrics()
    paused = metrics["sending_paused{entity=cart,reason=outage}"] == 1
    return paused and metrics["requests_in_flight"] == 0


def test_who_wakes_up_after_its_partitions_moved_sends_nothing_of_what_it_had(stage: Stages) -> None:
    s = stage(partitions=4)
    s.api.set_faults([{"status": 503}])
    with worker(**s.settings(**SETTINGS)) as first:
        first.wait_ready()
        s.produce([cart(id_, 1) for id_ in CARTS])
        wait_until(lambda: first.metrics()["pending_entities"] == len(CARTS), "all to wait", 20)
        # Stopped between two probes: a request that is just being written goes out when it wakes.
        wait_until(lambda: at_rest(first), "nothing to be under way", 30)
        with frozen(first), worker(**s.settings(**SETTINGS)) as second:
            s.api.clear_faults()
            s.produce([cart(id_, 2) for id_ in CARTS])
            wait_until(lambda: {version(params) for params in s.held().values()} == {2}, "the newer states", 60)
            wait_until(s.all_committed, "them to be settled", 30)
            before = s.api.state().requests
            first.signal(signal.SIGCONT)
            wait_until(lambda: first.metrics()["rebalances_total{kind=lost}"], "the first to learn of it", 30)
            wait_until(lambda: first.metrics()["pending_entities"] == 0, "the first to let go", 10)
            assert s.api.state().requests == before
            assert second.stop() == 0
        first.wait_ready()
        s.produce([cart(id_, 3) for id_ in CARTS])
        wait_until(lambda: {version(params) for params in s.held().values()} == {3}, "it to go on", 60)
        assert first.stop() == 0


def test_who_is_cut_off_from_kafka_in_a_quiet_hour_shows_no_partitions(kafka_cluster: ClusterFactory) -> None:
    """With nothing to do it has no lag, and would look well for ever: what tells of it is that it owns nothing."""
    cluster = kafka_cluster()
    cluster.create_topic("carts", partitions=3)
    with Sandbox(keys={KEY}) as api:
        s = Stage(cluster.bootstrap, "carts", "group", api)
        with worker(**s.settings(**SETTINGS)) as w:
            w.wait_ready()
            s.produce([cart("1")])
            s.wait_all_committed()
            assert w.metrics()["assigned_partitions"] == 3
            cluster.kill(0)
            wait_until(lambda: w.metrics()["assigned_partitions"] == 0, "its lease to end", 20)
            assert not [name for name in w.metrics() if name.startswith(("consumer_lag", "committed_offset"))]
            assert w.get("/readyz")[0] == 503
            assert [line["level"] for line in w.logged("membership")][-1] == "warning"
            cluster.start(0)
            wait_until(lambda: w.metrics()["assigned_partitions"] == 3, "it to be back", 30)
            assert w.stop() == 0
