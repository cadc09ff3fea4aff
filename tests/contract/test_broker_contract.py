"""What the worker and its tests expect of a broker, asked of the embedded one and of Kafka alike."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from secrets import token_hex
from typing import Any, Self

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import InconsistentGroupProtocolError, TopicAlreadyExistsError

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Compression, Record, committed, end_offsets, produce, received, wait_until
from worker.sandbox.broker import EmbeddedBroker

Broker = EmbeddedBroker | KafkaCluster | ExternalCluster
Consumers = Callable[..., Any]

POLL_MS = 200

KAFKA = pytest.param("kafka", marks=pytest.mark.integration)


@pytest.fixture(params=["embedded", KAFKA])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def consumers(broker: Broker) -> Iterator[Consumers]:
    """A factory of consumers, closed at the end."""
    with ExitStack() as stack:

        def create(*topics: str, **options: Any) -> Any:
            consumer = new_consumer(broker, *topics, **options)
            stack.callback(consumer.close)
            return consumer

        yield create


def new_consumer(broker: Broker, *topics: str, **options: Any) -> Any:
    settings = {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "isolation_level": "read_committed",
        # The embedded broker forms a group half a session time-out after the first member came.
        "session_timeout_ms": 2_000,
        "heartbeat_interval_ms": 200,
    }
    return KafkaConsumer(*topics, bootstrap_servers=broker.bootstrap, **settings | options)


def new_topic(broker: Broker, partitions: int = 1) -> str:
    name = f"contract-{token_hex(6)}"
    broker.create_topic(name, partitions)
    return name


def take(consumer: Any, count: int) -> list[Record]:
    """The next `count` records, one more poll included that must find nothing beyond them."""
    found: list[Record] = []

    def enough() -> bool:
        found.extend(map(received, itertools.chain(*poll(consumer).values())))
        return len(found) >= count

    wait_until(enough, f"{count} records", 30)
    assert consumer.poll(timeout_ms=20) == {}
    return found


def poll(consumer: Any) -> dict[Any, Any]:
    """As the worker polls: a join that a poll's end has cut in two is joined again.

    kafka-python alone takes it for done. The member then gets no partitions, and the group puts it out: with polls of
    5 ms 6 of 16 pairs that came together, with polls of 200 ms only those of a slow machine.
    """
    found: dict[Any, Any] = consumer.poll(timeout_ms=POLL_MS)
    coordinator = consumer._coordinator
    if coordinator is not None and coordinator.rejoining:
        coordinator.request_rejoin()
    return found


class Member:
    """A member of a group that polls in a thread of its own, as the worker's intake does."""

    def __init__(self, broker: Broker, topic: str, group: str, assignor: Any) -> None:
        self.partitions: set[int] = set()
        self._consumer = new_consumer(broker, topic, group_id=group, partition_assignment_strategy=(assignor,))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def _poll(self) -> None:
        while not self._ended.is_set():
            poll(self._consumer)
            self.partitions = {at.partition for at in self._consumer.assignment()}
        self._consumer.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def numbered(count: int, partition: int = 0) -> list[Record]:
    return [Record(b"key-%d" % i, b"value-%d" % i, partition=partition, timestamp=1_000 + i) for i in range(count)]


def test_a_topic_has_the_partitions_that_were_asked_for(broker: Broker, consumers: Consumers) -> None:
    topic = new_topic(broker, partitions=3)
    assert consumers(group_id=None).partitions_for_topic(topic) == {0, 1, 2}


def test_a_topic_is_created_once(broker: Broker) -> None:
    topic = new_topic(broker)
    with pytest.raises(TopicAlreadyExistsError):
        broker.create_topic(topic, 1)


@pytest.mark.parametrize(
    "record",
    [
        Record(b"cart:1", b"{}", (("a", b"1"), ("a", b"2"), ("b", b"")), timestamp=1_795_000_000_123),
        Record(b"cart:1", None),
        Record(None, b"{}"),
        Record(b"", b""),
    ],
    ids=["headers and timestamp", "tombstone", "no key", "empty"],
)
def test_a_record_comes_back_as_it_was_written(broker: Broker, consumers: Consumers, record: Record) -> None:
    topic = new_topic(broker)
    (written,) = produce(broker.bootstrap, topic, [record])
    assert (record.key, record.value, record.headers) == (written.key, written.value, written.headers)
    assert take(consumers(topic, group_id=None), 1) == [written]


def test_records_of_every_compression_are_read(broker: Broker, consumers: Consumers) -> None:
    topic = new_topic(broker)
    codecs: tuple[Compression | None, ...] = (None, "gzip", "snappy", "lz4", "zstd")
    written = [record for codec in codecs for record in produce(broker.bootstrap, topic, numbered(20), codec)]
    assert take(consumers(topic, group_id=None), 100) == written


def test_the_records_of_a_partition_come_in_the_order_they_were_written(broker: Broker, consumers: Consumers) -> None:
    topic = new_topic(broker, partitions=2)
    written = [
        record
        for batch in range(3)
        for partition in (0, 1)
        for record in produce(broker.bootstrap, topic, numbered(5 + batch, partition))
    ]
    found = take(consumers(topic, group_id=None), len(written))
    for partition in (0, 1):
        expected = [record for record in written if record.partition == partition]
        assert [record for record in found if record.partition == partition] == expected
        assert [record.offset for record in expected] == list(range(len(expected)))


def test_a_group_goes_on_where_it_committed(broker: Broker, consumers: Consumers, group: str) -> None:
    topic = new_topic(broker)
    written = produce(broker.bootstrap, topic, numbered(5))
    first = consumers(topic, group_id=group)
    assert take(first, 5) == written
    first.seek(TopicPartition(topic, 0), 3)
    first.commit()
    assert committed(broker.bootstrap, group, topic) == {0: 3}
    first.close()
    assert take(consumers(topic, group_id=group), 2) == written[3:]


def test_what_was_not_committed_is_read_again(broker: Broker, consumers: Consumers, group: str) -> None:
    topic = new_topic(broker)
    written = produce(broker.bootstrap, topic, numbered(3))
    first = consumers(topic, group_id=group)
    assert take(first, 3) == written
    first.close()
    assert committed(broker.bootstrap, group, topic) == {}
    assert take(consumers(topic, group_id=group), 3) == written


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, CooperativeStickyAssignor])
def test_two_members_share_the_partitions_and_one_takes_over(broker: Broker, group: str, assignor: Any) -> None:
    topic = new_topic(broker, partitions=4)
    with Member(broker, topic, group, assignor) as first:
        with Member(broker, topic, group, assignor) as second:
            wait_until(lambda: len(first.partitions) == len(second.partitions) == 2, "an even share", 20)
            assert first.partitions | second.partitions == {0, 1, 2, 3}
        wait_until(lambda: first.partitions == {0, 1, 2, 3}, "the first to take over", 20)


@pytest.mark.parametrize(
    ("broker", "expected"),
    [("embedded", [0, 0, 0, 0]), pytest.param("kafka", [0, 1, 2, None], marks=pytest.mark.integration)],
    indirect=["broker"],
)
def test_offsets_are_found_by_time_but_the_embedded_broker_knows_only_the_first(
    broker: Broker, consumers: Consumers, expected: list[int | None]
) -> None:
    topic = new_topic(broker)
    for record in numbered(3):
        produce(broker.bootstrap, topic, [record])
    at = TopicPartition(topic, 0)
    consumer = consumers(group_id=None)
    found = [consumer.offsets_for_times({at: time})[at] for time in (0, 1_001, 1_002, 1_003)]
    assert [answer and answer.offset for answer in found] == expected


@pytest.mark.parametrize(
    ("broker", "expectation"),
    [
        ("embedded", pytest.raises(InconsistentGroupProtocolError)),
        pytest.param("kafka", nullcontext(), marks=pytest.mark.integration),
    ],
    indirect=["broker"],
)
def test_a_group_that_everybody_left_may_change_its_assignor_but_not_on_the_embedded_broker(
    broker: Broker, consumers: Consumers, group: str, expectation: AbstractContextManager[object]
) -> None:
    topic = new_topic(broker)
    for assignor, outcome in ((RangePartitionAssignor, nullcontext()), (CooperativeStickyAssignor, expectation)):
        member = consumers(topic, group_id=group, partition_assignment_strategy=(assignor,))
        with outcome:
            wait_until(partial(assigned, member), "an assignment", 60)  # a new topic's metadata may come late
        member.close()


def assigned(member: Any) -> bool:
    poll(member)
    return bool(member.assignment())


@pytest.mark.parametrize(
    ("broker", "expected"),
    [("embedded", 3), pytest.param("kafka", 5, marks=pytest.mark.integration)],
    indirect=["broker"],
)
def test_the_end_offset_lies_behind_the_last_record_but_for_the_embedded_broker_in_the_last_batch(
    broker: Broker, expected: int
) -> None:
    topic = new_topic(broker)
    for batch in (2, 3):
        produce(broker.bootstrap, topic, numbered(batch), linger_ms=100)
    assert end_offsets(broker.bootstrap, topic) == {0: expected}
