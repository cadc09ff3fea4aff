"""Reads parts of topics as commands do: beside every group, leaving no trace at the brokers."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from worker.adapters.kafka.bounded_fetch import refuse_too_large
from worker.adapters.kafka.connection import connect, mapped
from worker.core.state import Partition
from worker.ports import Record, UnavailableError
from worker.settings import Kafka

_POLL_MS = 500


class Reader:
    """Reads committed records only, as the worker does. One thread only; to be closed.

    The constructor connects, within `timeout` seconds. Raises UnavailableError if no broker answers, FatalError if
    they refuse us.
    """

    def __init__(self, settings: Kafka, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._consumer: Any = connect(
            KafkaConsumer,
            settings,
            client_rack=settings.client_rack or "",
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            max_poll_records=500,
            max_partition_fetch_bytes=1024 * 1024,
            fetch_max_bytes=8 * 1024 * 1024,
            bootstrap_timeout_ms=int(timeout * 1000),
        )

    def read(self, ranges: Mapping[Partition, tuple[int, int]]) -> Iterator[tuple[Partition, Record]]:
        """The records from the first offset of each range up to, and without, its second one; each in log order.

        An end may not be beyond the log's end. What was deleted from the log meanwhile is left out. Blocks; raises
        UnavailableError when nothing moves for `timeout` seconds, FatalError when the brokers refuse.
        """
        left = {TopicPartition(*at): end for at, (start, end) in ranges.items() if start < end}
        self._consumer.assign(list(left))
        self._consumer.resume(*left)  # an earlier read may have paused it
        for at in left:
            self._consumer.seek(at, ranges[Partition(*at)][0])
        yield from self._read(left)

    def _read(self, left: dict[TopicPartition, int]) -> Iterator[tuple[Partition, Record]]:
        deadline = time.monotonic() + self._timeout
        before: dict[TopicPartition, int] = {}
        while left:
            with mapped("reading"):
                batches = self._consumer.poll(timeout_ms=_POLL_MS)
                if not batches:
                    refuse_too_large(self._consumer)
                now = {at: self._consumer.position(at, timeout_ms=self._timeout * 1000) for at in left}
            for at, records in batches.items():
                yield from ((Partition(*at), record) for record in records if record.offset < left.get(at, 0))
            if now != before or batches:
                deadline = time.monotonic() + self._timeout
            elif time.monotonic() > deadline:
                raise UnavailableError(f"reading: nothing came for {self._timeout:g} s; next offsets {_named(now)}")
            before = now
            self._finish(left, now)

    def _finish(self, left: dict[TopicPartition, int], now: Mapping[TopicPartition, int | None]) -> None:
        """A position may pass the end without a record: what ends a transaction has an offset, too."""
        for at, position in now.items():
            if position is not None and position >= left[at]:
                del left[at]
                self._consumer.pause(at)

    def close(self) -> None:
        self._consumer.close(autocommit=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _named(positions: Mapping[TopicPartition, int]) -> dict[str, int]:
    return {str(Partition(*at)): position for at, position in positions.items()}
