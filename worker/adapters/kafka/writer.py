"""Writes records where a command says, each acknowledged by all replicas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from worker.adapters.kafka.connection import connect, mapped
from worker.core.state import Partition
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


@dataclass(frozen=True, slots=True)
class NotWritten:
    """Why a record has no offset, in words. `perhaps`: its answer got lost, so that it may be written nevertheless."""

    why: str
    perhaps: bool = False


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
            # An idempotent producer is dead after one refusal, needs one more right before Kafka 2.8, and knows nothing
            # of what an earlier run wrote, or of an answer that never came: who minds looks into the log.
            enable_idempotence=False,
            max_block_ms=int(timeout * 1000),
            request_timeout_ms=int(timeout * 1000),
            delivery_timeout_ms=int(timeout * 2000),
            bootstrap_timeout_ms=int(timeout * 1000),
            max_request_size=_LARGEST,
            allow_auto_create_topics=False,
        )

    def write(self, records: Sequence[NewRecord]) -> list[int | NotWritten]:
        """For each record, in their order, its offset, or why it has none.

        Each waits for the acknowledgement of the one before: together, one that is too large would take the others of
        its batch along, and what is sent again would come after what is newer. After one that got no answer its
        partition is sent no other: it takes two time-outs and no more. The client may have written a record twice.
        Blocks; raises UnavailableError or FatalError where none can be sent.
        """
        answers: list[int | NotWritten] = []
        silent: set[Partition] = set()
        for record in records:
            if record.partition in silent:
                answers.append(NotWritten("not sent: one before it got no answer"))
                continue
            try:
                answer = self._write(record)
            except (UnavailableError, FatalError) as error:
                if not answers:
                    raise
                answer = NotWritten(str(error))  # what is written is written, and to be remembered
                silent.add(record.partition)
            if isinstance(answer, NotWritten) and answer.perhaps:
                silent.add(record.partition)
            answers.append(answer)
        return answers

    def _write(self, record: NewRecord) -> int | NotWritten:
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
            return NotWritten("it is larger than the topic's max.message.bytes")
        except KafkaError as error:
            # Whatever it is: an earlier attempt of the client may have been taken.
            return NotWritten(str(error) or type(error).__name__, perhaps=True)

    def close(self) -> None:
        self._producer.close(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
