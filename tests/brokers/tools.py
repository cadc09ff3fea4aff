"""What tests do with a broker: write, read, and look at groups, with clients of their own.

`client` is kafka-python's arguments beyond the address, such as `cluster.security.client()`.
"""

import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaConnectionError,
    NotCoordinatorError,
    for_code,
)

T = TypeVar("T")
Compression = Literal["gzip", "snappy", "lz4", "zstd"]
Isolation = Literal["read_uncommitted", "read_committed"]

#: A test says how long something takes on a quiet machine, at most. A busy or slow one is given so many times as long.
PATIENCE = 4
ANSWER_SECONDS = 90.0
_POLL_SECONDS, _SLOWEST_POLL_SECONDS = 0.02, 0.25
_PASSING = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError, KafkaConnectionError)


@dataclass(frozen=True)
class Record:
    """One record of a topic. To be written: what is None is chosen by the producer and the broker."""

    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None  # milliseconds
    partition: int | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Member:
    """A member of a consumer group and the partitions that it was given."""

    id: str
    client_id: str
    instance_id: str | None
    partitions: frozenset[tuple[str, int]]


def wait_until(condition: Callable[[], T], what: str, timeout: float = 15.0) -> T:
    """Asks until the answer is truthy, and returns it. AssertionError with the last answer after the `timeout`.

    That is in seconds of a quiet machine (see PATIENCE). What must be quick is measured by the test itself.
    """
    started = time.monotonic()
    deadline = started + PATIENCE * timeout
    while not (answer := condition()):
        waited = f"waited {PATIENCE * timeout:g} s for {what}"
        assert time.monotonic() < deadline, f"{waited}; the last answer was {answer!r}"
        # Each question may cost a client its start: who has waited for long asks more rarely.
        time.sleep(min(max(_POLL_SECONDS, (time.monotonic() - started) / 10), _SLOWEST_POLL_SECONDS))
    return answer


def ask(bootstrap: str, question: Callable[[Any], T], **client: Any) -> T:
    """Asks an admin client, again while a broker is gone or a coordinator moves, for ANSWER_SECONDS at most.

    A new cluster has no coordinator until it was asked for one.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with KafkaAdminClient(bootstrap_servers=bootstrap, **client) as admin:
                return question(admin)
        except _PASSING:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def produce(
    bootstrap: str, topic: str, records: Iterable[Record], compression: Compression | None = None, **client: Any
) -> list[Record]:
    """Writes the records in their order, acknowledged by all replicas; returns them with where they are."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type=compression, **client)
    try:
        return _send(producer, topic, records)
    finally:
        producer.close(ANSWER_SECONDS)


def produce_in_transaction(
    bootstrap: str, topic: str, records: Iterable[Record], *, commit: bool, **client: Any
) -> list[Record]:
    """Writes the records in one transaction, which it then commits or aborts."""
    name = f"test-{secrets.token_hex(4)}"
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", transactional_id=name, **client)
    try:
        producer.init_transactions()
        producer.begin_transaction()
        written = _send(producer, topic, records)
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
        return written
    finally:
        producer.close(ANSWER_SECONDS)


def end_offsets(bootstrap: str, topic: str, isolation: Isolation = "read_uncommitted", **client: Any) -> dict[int, int]:
    """For each partition the offset of the next record; read_committed: of the first open transaction, if any."""
    return _offsets(bootstrap, topic, OffsetSpec.LATEST, isolation, client)


def start_offsets(bootstrap: str, topic: str, **client: Any) -> dict[int, int]:
    """For each partition the offset of the oldest record that is kept."""
    return _offsets(bootstrap, topic, OffsetSpec.EARLIEST, "read_uncommitted", client)


def read_all(bootstrap: str, topic: str, isolation: Isolation = "read_committed", **client: Any) -> list[Record]:
    """What the topic holds, ordered by partition and offset. Needs a broker whose end offsets are right."""
    ends = end_offsets(bootstrap, topic, isolation, **client)
    partitions = [TopicPartition(topic, partition) for partition in ends]
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation, group_id=None, **client)
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        found: list[Record] = []
        deadline = time.monotonic() + ANSWER_SECONDS
        while any(consumer.position(partition) < ends[partition.partition] for partition in partitions):
            assert time.monotonic() < deadline, f"{topic} could not be read to its end {ends}; read {len(found)}"
            found += map(received, itertools.chain(*consumer.poll(timeout_ms=100).values()))
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def received(record: Any) -> Record:
    """kafka-python's record as ours."""
    headers = tuple((name, bytes(value)) for name, value in record.headers)
    return Record(record.key, record.value, headers, record.timestamp, record.partition, record.offset)


def committed(bootstrap: str, group: str, topic: str, **client: Any) -> dict[int, int]:
    """The group's committed offsets, without the partitions that it has committed nothing of."""
    offsets = ask(bootstrap, lambda admin: admin.list_group_offsets({group: None})[group], **client)
    return {at.partition: found.offset for at, found in offsets.items() if at.topic == topic and found.offset >= 0}


def group_state(bootstrap: str, group: str, **client: Any) -> str:
    """`Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Dead` (also: never heard of)."""
    return str(_describe(bootstrap, group, client)["group_state"])


def group_members(bootstrap: str, group: str, **client: Any) -> list[Member]:
    """Who is in the group, by client id; their partitions are known only while the group is stable."""
    members = [_member(member) for member in _describe(bootstrap, group, client)["members"]]
    return sorted(members, key=lambda member: (member.client_id, member.id))


def _send(producer: Any, topic: str, records: Iterable[Record]) -> list[Record]:
    sent = []
    for record in records:
        answer = producer.send(
            topic,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            partition=record.partition,
            timestamp_ms=record.timestamp,
        )
        sent.append((record, answer))
    producer.flush(ANSWER_SECONDS)
    written = []
    for record, answer in sent:
        at = answer.get(ANSWER_SECONDS)
        written.append(replace(record, partition=at.partition, offset=at.offset, timestamp=at.timestamp))
    return written


def _offsets(
    bootstrap: str, topic: str, spec: OffsetSpec, isolation: Isolation, client: dict[str, Any]
) -> dict[int, int]:
    def look_up(admin: Any) -> dict[Any, Any]:
        (description,) = admin.describe_topics([topic])
        if description["error_code"]:
            raise for_code(description["error_code"])(topic)
        wanted = {TopicPartition(topic, p["partition_index"]): spec for p in description["partitions"]}
        found: dict[Any, Any] = admin.list_partition_offsets(wanted, isolation_level=isolation)
        return found

    found = ask(bootstrap, look_up, **client)
    return {at.partition: found[at].offset for at in sorted(found)}


def _describe(bootstrap: str, group: str, client: dict[str, Any]) -> dict[str, Any]:
    def describe(admin: Any) -> dict[str, Any]:
        description: dict[str, Any] = admin.describe_groups([group])[group]
        # The others mean that the coordinator is moving; a group that it never heard of is described as dead.
        if description["error"] is not None and description["group_state"] != "Dead":
            raise CoordinatorNotAvailableError(description["error"])
        return description

    return ask(bootstrap, describe, **client)


def _member(member: dict[str, Any]) -> Member:
    assignment = member["member_assignment"] or {}
    given = {(a["topic"], p) for a in assignment.get("assigned_partitions", ()) for p in a["partitions"]}
    return Member(member["member_id"], member["client_id"], member["group_instance_id"], frozenset(given))
