"""A real Kafka topic in, the Cart API out."""

import random
from collections.abc import Callable

import pytest

from tests.brokers.tools import Compression, Record, group_members, produce_in_transaction, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart, order, shop_cart, version
from tests.integration.process import worker

Stages = Callable[..., Stage]


def test_both_formats_end_to_end(stage: Stages) -> None:
    """Native and CS-Cart carts and orders arrive as the API's parameters, and their offsets are committed."""
    s = stage(partitions=3)
    s.produce([cart("1", 2), order("1001"), shop_cart("42", 3), shop_cart("42", 1, order_id="77", status="Payée")])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    held = s.held()
    assert set(held) == {("cart", "1"), ("order", "1001"), ("cart", "42"), ("order", "77")}
    assert held["cart", "1"]["products"] == [{"id": "1", "name": "Café crème", "quantity": "2", "price": "29.99"}]
    assert held["order", "77"]["status"] == "Payée"
    assert held["order", "77"]["cart_id"] == "42"
    assert held["cart", "42"]["products"][0]["details"] == {"Size": "Large"}
    assert held["cart", "42"]["is_logged_in"] == "1"


def test_ten_thousand_events_over_three_hundred_ids_end_in_the_newest_state(stage: Stages) -> None:
    """Every id ends in its newest state, nothing is left uncommitted, and the numbers add up."""
    s = stage(partitions=4)
    draw = random.Random(7)
    newest: dict[str, int] = {}
    records = []
    for number in range(1, 10_001):
        id_ = str(draw.randrange(300))
        newest[id_] = number
        records.append(cart(id_, number))
    with worker(**s.settings()) as w:
        w.wait_ready()
        s.produce(records)
        s.wait_all_committed()
        wait_until(lambda: w.total("pending_entities") + w.total("consumer_lag") == 0, "nothing to be left over")
        metrics = w.metrics()
        assert w.stop() == 0
    assert {id_: version(params) for (_, id_), params in s.held().items()} == newest
    assert metrics[f"events_consumed_total{{topic={s.topic}}}"] == 10_000
    delivered = metrics["events_delivered_total{entity=cart}"]
    assert delivered + metrics["events_collapsed_total{entity=cart}"] == 10_000
    assert delivered == s.api.state().requests < 10_000
    assert metrics["requests_in_flight"] == metrics["pending_bytes"] == 0
    assert sum(name.startswith("consumer_lag") for name in metrics) == 4


def test_a_restart_in_the_middle_loses_nothing(stage: Stages) -> None:
    """A worker that is killed with requests in flight is followed by one that ends with the newest states."""
    s = stage(partitions=2)
    s.api.set_faults([{"latency": 30}])
    s.produce([cart(str(i % 200), i) for i in range(1, 2001)])
    with worker(**s.settings(OPTICO_MAX_CONCURRENCY="8", KAFKA_SESSION_TIMEOUT_MS="6000")) as first:
        wait_until(lambda: s.api.state().requests > 20, "some requests", 30)
        first.kill()
    with worker(**s.settings(KAFKA_SESSION_TIMEOUT_MS="6000")) as second:
        s.wait_all_committed(90)
        assert second.stop() == 0
    assert {int(id_): version(params) for (_, id_), params in s.held().items()} == {
        i % 200: i for i in range(1801, 2001)
    }


def test_two_workers_share_and_hand_over(stage: Stages) -> None:
    """A second worker takes over half of the partitions under load, and gives them back when it leaves."""
    s = stage(partitions=4)
    s.api.set_faults([{"latency": 20}])
    with worker(**s.settings(KAFKA_CLIENT_ID="first")) as first:
        first.wait_ready()
        s.produce([cart(str(i % 100), i) for i in range(1, 1001)])
        with worker(**s.settings(KAFKA_CLIENT_ID="second")) as second:
            second.wait_ready()
            wait_until(
                lambda: sorted(len(m.partitions) for m in group_members(s.bootstrap, s.group)) == [2, 2],
                "two partitions each",
                30,
            )
            s.produce([cart(str(i % 100), i) for i in range(1001, 2001)])
            s.wait_all_committed()
            assert second.total("events_delivered_total") > 0
            assert second.stop() == 0
        s.produce([cart(str(i % 100), i) for i in range(2001, 2101)])
        s.wait_all_committed()
        assert first.metrics()["assigned_partitions"] == 4
        assert first.stop() == 0
    assert {version(params) for params in s.held().values()} == set(range(2001, 2101))
    _assert_no_older_state_after_a_newer_one(s)


def _assert_no_older_state_after_a_newer_one(s: Stage) -> None:
    newest: dict[str | None, int] = {}
    for request in s.api.requests():
        assert version(request.params) >= newest.get(request.id, 0), f"cart {request.id} went back"
        newest[request.id] = version(request.params)


@pytest.mark.parametrize("compression", ["gzip", "lz4", "snappy", "zstd"])
def test_compressed_topics(stage: Stages, compression: Compression) -> None:
    """Batches compressed by the producer are read."""
    s = stage()
    s.produce([cart(str(i)) for i in range(50)], compression=compression)
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    assert len(s.held()) == 50


def test_tombstones_and_emptied_carts_are_skipped_and_committed(stage: Stages) -> None:
    """Records with nothing to send are counted and committed. Only an emptied cart takes what waits with it."""
    s = stage()
    emptied = cart("2", products=[])
    s.produce([cart("1", 3), Record(b"cart:1", None), cart("2", 4), emptied, Record(b"x", None)])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        metrics = w.metrics()
        assert w.stop() == 0
    assert metrics["events_skipped_total{entity=unknown,reason=tombstone}"] == 2
    assert metrics["events_skipped_total{entity=cart,reason=empty_products}"] == 1
    assert metrics["events_collapsed_total{entity=cart}"] == 1
    assert {entity: version(params) for entity, params in s.held().items()} == {("cart", "1"): 3}


def test_only_committed_transactions_are_read(stage: Stages) -> None:
    """An aborted transaction's events are never sent, and its markers do not hold the commit back."""
    s = stage()
    produce_in_transaction(s.bootstrap, s.topic, [cart("1", 1)], commit=True)
    produce_in_transaction(s.bootstrap, s.topic, [cart("1", 2), cart("2", 2)], commit=False)
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    assert {key: version(params) for key, params in s.held().items()} == {("cart", "1"): 1}


def test_an_idle_topic_is_committed_too(stage: Stages) -> None:
    """With `latest` a first start reads nothing, and still commits where it stands: a restart must not skip."""
    s = stage()
    s.produce([cart("1")])
    with worker(**s.settings(KAFKA_AUTO_OFFSET_RESET="latest")) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    s.produce([cart("2")])
    with worker(**s.settings(KAFKA_AUTO_OFFSET_RESET="latest")) as w:
        wait_until(lambda: ("cart", "2") in s.held(), "the event between two runs", 20)
        assert w.stop() == 0
    assert set(s.held()) == {("cart", "2")}
