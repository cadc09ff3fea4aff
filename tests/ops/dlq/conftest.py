"""A topic with carts, a dead-letter topic with letters of them as the worker writes them, and the API."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import NewPartitions

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Record, ask, end_offsets, produce
from tests.conftest import TopicFactory
from tests.integration.conftest import api
from tests.integration.events import version
from tests.ops.program import Answer, inside
from worker.sandbox.api import Sandbox

__all__ = ["api"]

FAILED_AT = "2026-11-21T08:00:00Z"


@dataclass(frozen=True)
class Post:
    """One partition, unless `add_partition` is called, so that a record's offset is its number."""

    bootstrap: str
    topic: str
    letters: str
    group: str
    api: Sandbox

    @property
    def variables(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA_TOPICS": self.topic,
            "KAFKA_DLQ_TOPIC": self.letters,
            "KAFKA_GROUP_ID": self.group,
            "OPTICO_URL": self.api.url,
        }

    def dlq(self, *arguments: str, **variables: str) -> Answer:
        return inside("dlq", *arguments, variables=self.variables | variables)

    def redrive(self, *arguments: str, code: int = 0, **variables: str) -> list[tuple[str, str]]:
        """Letters and what becomes of them, in the command's order."""
        answer = self.dlq("redrive", "--json", *arguments, **variables)
        assert answer.code == code, answer.err
        return [(line["letter"].removeprefix(f"{self.letters}:0:"), line["outcome"]) for line in answer.json_lines]

    def execute(self, *arguments: str, code: int = 0, **variables: str) -> dict[str, str]:
        """What became of each letter."""
        return dict(self.redrive("--execute", *arguments, code=code, **variables))

    def held(self) -> dict[str, int]:
        """The version of each cart or order that the API holds."""
        return {record.id: version(record.params) for record in self.api.records()}

    def requested(self) -> list[tuple[str, int]]:
        """All that the API was asked for, in order."""
        return [(str(request.id), version(request.params)) for request in self.api.requests()]

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
        } | more
        if truncated:
            said["truncated"] = 1
        headers = tuple((f"dlq.{name}", str(value).encode()) for name, value in said.items())
        return Record(record.key, b"" if truncated else record.value, (*headers, *record.headers))

    def ends(self) -> dict[int, int]:
        return end_offsets(self.bootstrap, self.topic)

    def delete_before(self, offset: int) -> None:
        """As retention does."""
        ask(self.bootstrap, lambda admin: admin.delete_records({TopicPartition(self.topic, 0): offset}))

    def add_partition(self) -> None:
        ask(self.bootstrap, lambda admin: admin.create_partitions({self.topic: NewPartitions(2)}))


@pytest.fixture
def post(kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, group: str, api: Sandbox) -> Post:
    return Post(kafka.bootstrap, topic(), topic(), group, api)


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
