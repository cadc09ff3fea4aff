"""A worker with many partitions, nearly all of them idle: whatever happens in one is seen as if it were alone."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.brokers.tools import wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import WorkerProcess, worker
from tests.integration.test_open_transactions import transactional, write

Stages = Callable[..., Stage]
PARTITIONS = 200


def of(w: WorkerProcess, metric: str, s: Stage, partition: int) -> float | None:
    """A partition's own series."""
    return w.metrics().get(f"{metric}{{partition={partition},topic={s.topic}}}")


def _is_committed(s: Stage, partition: int, end: int) -> bool:
    return s.committed().get(partition) == end


def at_rest(w: WorkerProcess, partitions: int = PARTITIONS) -> bool:
    series = w.metrics()
    known = sum(name.startswith("consumer_lag{") for name in series)
    return known == partitions and sum(n for name, n in series.items() if name.startswith("consumer_lag{")) == 0


def test_an_idle_partition_among_many_is_read_committed_and_its_end_known(stage: Stages) -> None:
    s = stage(partitions=PARTITIONS)
    with worker(**s.settings()) as w:
        wait_until(lambda: at_rest(w), "all partitions", 60)
        for partition, end in ((7, 1), (120, 1), (7, 2), (199, 1)):
            s.produce([replace(cart(str(partition), end), partition=partition)])
            wait_until(partial(_is_committed, s, partition, end), "its offset", 10)
            assert of(w, "unread_records", s, partition) == 0
        with transactional(s) as producer:
            producer.begin_transaction()
            write(producer, s, 42, "42", 1)
            wait_until(lambda: of(w, "unread_records", s, 42) == 1, "an unread record to be seen", 15)
            assert of(w, "consumer_lag", s, 42) == 1
            producer.commit_transaction()
        wait_until(lambda: ("cart", "42") in s.held(), "it to be read once the transaction has ended", 10)
        # The marker that ends a transaction is no record, and takes an offset all the same.
        wait_until(lambda: s.committed().get(42) == 2, "the end to be committed", 10)
        wait_until(lambda: at_rest(w), "no lag", 15)


def test_partitions_that_move_while_idle_are_read_by_their_new_owners(stage: Stages) -> None:
    s = stage(partitions=PARTITIONS)
    with worker(**s.settings()) as first:
        wait_until(lambda: at_rest(first), "all partitions", 60)
        with worker(**s.settings()) as second:
            wait_until(
                lambda: at_rest(second, PARTITIONS // 2) and at_rest(first, PARTITIONS // 2), "each its half", 60
            )
            s.produce([replace(cart(str(number)), partition=number) for number in range(PARTITIONS)])
            wait_until(lambda: len(s.held()) == PARTITIONS, "all to be sent", 30)
            wait_until(s.all_committed, "all to be committed", 15)
            assert second.stop() == 0
        wait_until(lambda: at_rest(first), "all of them back", 60)
        s.produce([replace(cart(str(number), 2), partition=number) for number in range(PARTITIONS)])
        s.wait_all_committed(30)


def test_a_pause_of_all_partitions_ends_for_all_of_them(stage: Stages) -> None:
    s = stage(partitions=PARTITIONS)
    s.api.set_faults([{"status": 503}])
    with worker(**s.settings(WORKER_MAX_PENDING="20")) as w:
        wait_until(lambda: at_rest(w), "all partitions", 60)
        s.produce([replace(cart(f"a{number}"), partition=number) for number in range(PARTITIONS)])
        wait_until(lambda: w.metrics()["intake_paused{reason=max_pending}"] == 1, "a pause", 20)
        s.produce([replace(cart(f"b{number}"), partition=number) for number in range(PARTITIONS)])
        s.api.set_faults([])
        wait_until(lambda: len(s.held()) == 2 * PARTITIONS, "all to be sent", 60)
        s.wait_all_committed(20)
