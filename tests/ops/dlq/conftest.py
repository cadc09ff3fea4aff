"""A topic with carts, and a dead-letter topic with letters of them as the worker writes them."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaTimeoutError

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Record, ask, committed, end_offsets, produce, read_all
from tests.conftest import TopicFactory
from tests.ops.program import Answer, inside

FAILED_AT = "2026-11-21T08:00:00Z"


#: Writes a copy, and returns its future, which is done.
Write = Callable[[], Any]


@dataclass(frozen=True)
class Post:
    """One partition, so that a record's place is its number."""

    bootstrap: str
    topic: str
    letters: str
    group: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA_DLQ_TOPIC": self.letters,
            "KAFKA_GROUP_ID": self.group,
        }

    def dlq(self, *arguments: str) -> Answer:
        return inside("dlq", *arguments, variables=self.variables)

    def redrive(self, *arguments: str) -> list[tuple[str, str]]:
        """Letters and what became of them, in the command's order."""
        answer = self.dlq("redrive", "--json", *arguments)
        assert answer.code == 0, answer.err
        return [(line["letter"].removeprefix(f"{self.letters}-0-"), line["outcome"]) for line in answer.json_lines]

    def write(self, records: Sequence[Record]) -> list[Record]:
        return produce(self.bootstrap, self.topic, records)

    def reject(self, records: Sequence[Record], **more: Any) -> list[Record]:
        """Letters of records that were written."""
        return produce(self.bootstrap, self.letters, [self.letter(record, **more) for record in records])

    def letter(self, record: Record, *, truncated: bool = False, **more: Any) -> Record:
        kind, _, number = (record.key or b"unknown:").decode().partition(":")
        said = {
            "reason": "unknown_visit_id",
            "message": "Unknown visit ID",
            "topic": self.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "entity": kind,
            "id": number,
            "attempts": 1,
            "failed_at": FAILED_AT,
            "worker": "worker-1",
            "redrives": 0,
        } | more
        if truncated:
            said["truncated"] = 1
        headers = tuple((f"dlq.{name}", str(value).encode()) for name, value in said.items())
        return Record(record.key, b"" if truncated else record.value, (*headers, *record.headers))

    def records(self, start: int = 0) -> list[Record]:
        """What the topic holds from that offset on."""
        return [record for record in read_all(self.bootstrap, self.topic) if (record.offset or 0) >= start]

    def values(self, key: bytes = b"cart:1") -> list[bytes | None]:
        """An entity's states, as the log has them."""
        return [record.value for record in self.records() if record.key == key]

    def end(self) -> int:
        return end_offsets(self.bootstrap, self.topic)[0]

    def remembered(self) -> dict[int, int]:
        return committed(self.bootstrap, f"{self.group}-redrive", self.letters)

    def delete_before(self, offset: int) -> None:
        """As retention does."""
        ask(self.bootstrap, lambda admin: admin.delete_records({TopicPartition(self.topic, 0): offset}))

    def limit(self, size: int) -> None:
        """From now on the topic takes no larger batches."""
        resource = ConfigResource(ConfigResourceType.TOPIC, self.topic, {"max.message.bytes": str(size)})
        ask(self.bootstrap, lambda admin: admin.alter_configs([resource]))


@pytest.fixture
def post(kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, group: str) -> Post:
    return Post(kafka.bootstrap, topic(), topic(), group)


class Transaction:
    """Of somebody else."""

    def __init__(self, post: Post) -> None:
        name = f"test-{secrets.token_hex(4)}"
        self._topic = post.topic
        self._producer: Any = KafkaProducer(bootstrap_servers=post.bootstrap, acks="all", transactional_id=name)
        self._producer.init_transactions()
        self.pauses = 0

    def write(self, record: Record) -> None:
        self._producer.begin_transaction()
        self._producer.send(self._topic, key=record.key, value=record.value)
        self._producer.flush(30)

    def commit(self) -> None:
        self._producer.commit_transaction()

    def commit_at_the_first_pause(self) -> None:
        self.pauses += 1
        if self.pauses == 1:
            self.commit()

    def close(self) -> None:
        self._producer.close(30)


@pytest.fixture
def other(post: Post) -> Iterator[Transaction]:
    transaction = Transaction(post)
    yield transaction
    transaction.close()


class Lost:
    """A future whose answer never comes."""

    def get(self, timeout: float) -> Any:
        raise KafkaTimeoutError(f"no answer for {timeout:g} s")


def copies_are_written(monkeypatch: pytest.MonkeyPatch, how: Callable[[Write], Any]) -> None:
    """From now on `how` decides when a copy is written, and which future the program gets."""
    send = KafkaProducer.send

    def sent(producer: Any, topic: str, **record: Any) -> Any:
        def write() -> Any:
            future = send(producer, topic, **record)
            future.get(30)
            return future

        return how(write) if "dlq.redrives" in dict(record.get("headers") or ()) else write()

    monkeypatch.setattr(KafkaProducer, "send", sent)
