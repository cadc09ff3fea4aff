"""Writes records where a command says, each acknowledged by all replicas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from worker.adapters.kafka.connection import connect, mapped
from worker.core.ownership import Partition
from worker.ports import FatalError, UnavailableError
from worker.settings import Kafka

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be written into a partition. The broker or the client gives it the time of writing."""

    partition: Partition
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Writer:
    """One thread only; to be closed. The constructor connects, within `timeout` seconds.

    Raises UnavailableError if no broker answers, FatalError if they refuse us.
    """

    def __init__(self, settings: Kafka, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._producer: Any = connect(
            KafkaProducer,
            settings,
            acks="all",
            # An idempotent producer is dead after one refusal.
            enable_idempotence=False,
            max_block_ms=int(timeout * 1000),
            request_timeout_ms=int(timeout * 1000),
            delivery_timeout_ms=int(timeout * 2000),
            bootstrap_timeout_ms=int(timeout * 1000),
            max_request_size=_LARGEST,
            allow_auto_create_topics=False,
        )

    def write(self, records: Sequence[NewRecord]) -> list[int | str]:
        """For each record, in their order, its offset, or in words why the broker refused that one.

        Each waits for the acknowledgement of the one before: together, one that is too large would take the others of
        its batch along, and what is sent again would come after what is newer. A record whose answer got lost counts as
        refused: it may be written nevertheless. Blocks; raises UnavailableError or FatalError where none can be sent.
        """
        answers: list[int | str] = []
        for record in records:
            try:
                answers.append(self._write(record))
            except (UnavailableError, FatalError) as error:
                if not answers:
                    raise
                answers.append(str(error))  # what is written is written, and to be remembered
        return answers

    def _write(self, record: NewRecord) -> int | str:
        with mapped("writing"):
            future = self._producer.send(
                record.partition.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=record.partition.partition,
            )
        try:
            return int(future.get(timeout=self._timeout * 3).offset)
        except _TOO_LARGE:
            return "it is larger than the topic's max.message.bytes"
        except KafkaError as error:
            return str(error)

    def close(self) -> None:
        self._producer.close(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
