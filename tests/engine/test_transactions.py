"""Which open transactions are told of: those that stand still, not those of a producer that goes on."""

import pytest
from structlog.testing import capture_logs

from worker.core.state import Partition
from worker.engine.transactions import WARN_AFTER, OpenTransactions
from worker.ports import LogEnd

P0, P1 = Partition("carts", 0), Partition("carts", 1)
OPEN, CLOSED = LogEnd(26, 5), LogEnd(26, 26)


@pytest.fixture
def open_transactions() -> OpenTransactions:
    return OpenTransactions()


def test_a_transaction_that_stands_still_is_timed_from_the_first_sample_that_shows_it(
    open_transactions: OpenTransactions,
) -> None:
    shown = []
    for now, end in [(100.0, CLOSED), (110.0, OPEN), (120.0, OPEN), (135.0, LogEnd(99, 5)), (145.0, CLOSED)]:
        open_transactions.sample({P0: end}, [P0], now)
        shown.append(open_transactions.seconds().get(P0, 0.0))
    assert shown == [0.0, 0.0, 10.0, 25.0, 0.0]


def test_a_producer_that_always_has_one_open_holds_nothing_up(open_transactions: OpenTransactions) -> None:
    for number in range(100):
        open_transactions.sample({P0: LogEnd(10 * number + 3, 10 * number)}, [P0], number * 10.0)
        assert open_transactions.seconds()[P0] == 0.0


def test_it_is_warned_of_once_after_a_minute_with_topic_partition_and_offset(
    open_transactions: OpenTransactions,
) -> None:
    with capture_logs() as early:
        open_transactions.sample({P1: OPEN}, [P0, P1], 0.0)
        open_transactions.sample({P1: OPEN}, [P0, P1], WARN_AFTER - 1)
    with capture_logs() as late:
        open_transactions.sample({P1: OPEN}, [P0, P1], WARN_AFTER)
        open_transactions.sample({P1: OPEN}, [P0, P1], WARN_AFTER + 10)
        open_transactions.sample({P1: CLOSED}, [P0, P1], WARN_AFTER + 20)
    assert early == []
    assert [(line["log_level"], line["topic"], line["partition"], line["offset"]) for line in late] == [
        ("warning", "carts", 1, 5),
        ("info", "carts", 1, 5),
    ]
    assert late[0]["held_up"] == 21


def test_a_partition_that_went_and_came_back_is_timed_anew(open_transactions: OpenTransactions) -> None:
    open_transactions.sample({P0: OPEN}, [P0], 0.0)
    open_transactions.sample({}, [], 10.0)
    open_transactions.sample({P0: OPEN}, [P0], 50.0)
    open_transactions.sample({P0: OPEN}, [P0], 60.0)
    assert open_transactions.seconds() == {P0: 10.0}
