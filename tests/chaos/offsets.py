"""What a group has committed, one commit after the other: the coordinator's own log, read by a client of our own."""

import struct
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from tests.brokers.tools import end_offsets, wait_until
from worker.adapters.kafka.listener import DIRTY_MARKER

LOG = "__consumer_offsets"
_COMMIT_KEYS = (0, 1)


@dataclass(frozen=True)
class Commit:
    """`offset` None: the group's offset of that partition was deleted. `at`: when, in UNIX seconds. `dirty`: with the
    worker's note that requests may be under way.
    """

    topic: str
    partition: int
    offset: int | None
    at: float
    dirty: bool = True


def position(bootstrap: str) -> int:
    """Where the log ends now. The group coordinator's log has one partition in our clusters."""
    return end_offsets(bootstrap, LOG).get(0, 0)


def commits(bootstrap: str, group: str, since: int) -> list[Commit]:
    """All commits of the group from that position on, in order."""
    end = position(bootstrap)
    partition = TopicPartition(LOG, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, exclude_internal_topics=False)
    found: list[Commit] = []
    try:
        consumer.assign([partition])
        consumer.seek(partition, since)

        def read() -> bool:
            for records in consumer.poll(timeout_ms=100).values():
                found.extend(filter(None, (_commit(record, group) for record in records)))
            return bool(consumer.position(partition) >= end)

        wait_until(read, "the coordinator's log to be read", 30)
    finally:
        consumer.close()
    return found


def _commit(record: Any, group: str) -> Commit | None:
    (version,) = struct.unpack_from(">h", record.key)
    if version not in _COMMIT_KEYS:
        return None
    name, at = _string(record.key, 2)
    topic, at = _string(record.key, at)
    (partition,) = struct.unpack_from(">i", record.key, at)
    if name != group:
        return None
    if record.value is None:
        return Commit(topic, partition, None, record.timestamp / 1000, dirty=False)
    (offset,) = struct.unpack_from(">q", record.value, 2)
    return Commit(topic, partition, offset, record.timestamp / 1000, DIRTY_MARKER.encode() in record.value)


def _string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length
