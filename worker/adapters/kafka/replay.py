"""A reader of partitions without a group: it commits nothing, and no group hears of it."""

from collections.abc import Collection, Mapping, Sequence

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from worker.adapters.kafka.bounded_fetch import refuse_too_large
from worker.adapters.kafka.connection import connect, mapped
from worker.core.state import Partition
from worker.ports import Record
from worker.settings import Kafka

MAX_POLL_RECORDS = 5_000
_ENDS_TIMEOUT_MS = 10_000


class PartitionReader:
    """Reads committed records from the given offsets on. One thread only.

    The constructor connects, which may block for `connect_timeout` seconds. Every method raises UnavailableError where
    trying again may help, FatalError where it would not.
    """

    def __init__(self, settings: Kafka, starts: Mapping[Partition, int], *, connect_timeout: float = 10.0) -> None:
        self._consumer = connect(
            KafkaConsumer,
            settings,
            client_rack=settings.client_rack or "",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # what is no longer kept can't be read: on with what is
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=256 * 1024,
            fetch_max_bytes=8 * 1024 * 1024,
            fetch_max_wait_ms=100,
            bootstrap_timeout_ms=int(connect_timeout * 1000),
        )
        self._consumer.assign([TopicPartition(*partition) for partition in starts])
        self.seek(starts)

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """Goes on from these offsets, also where it was paused. Does not block."""
        for partition, offset in offsets.items():
            self._consumer.seek(TopicPartition(*partition), offset)
        self._consumer.resume(*[TopicPartition(*partition) for partition in offsets])

    def pause(self, partitions: Collection[Partition]) -> None:
        """Reads no more of these until they are sought. Does not block."""
        self._consumer.pause(*[TopicPartition(*partition) for partition in partitions])

    def poll(self, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        """Records, or nothing after `timeout` seconds."""
        with mapped("reading the topic"):
            batches = self._consumer.poll(timeout_ms=timeout * 1000)
        if not batches:
            refuse_too_large(self._consumer)
        return {Partition(*partition): records for partition, records in batches.items()}

    def position(self, partition: Partition) -> int | None:
        """The next offset to read; None: not known just now. Does not block."""
        position = self._consumer._subscription.assignment[TopicPartition(*partition)].position
        return None if position is None else int(position.offset)

    def ends(self) -> dict[Partition, int]:
        """Asks for the log ends as they are now. Blocks for one question to each leader, 10 s at most."""
        with mapped("reading log ends"):
            found = self._consumer.end_offsets(list(self._consumer.assignment()), timeout_ms=_ENDS_TIMEOUT_MS)
        return {Partition(*partition): end for partition, end in found.items()}

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=2_000)
