"""A sandbox for each test, and what the tests here ask again and again."""

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Record, committed, end_offsets, produce, wait_until
from tests.conftest import TopicFactory
from tests.integration.process import KEY
from worker.sandbox.api import Sandbox

Params = Mapping[str, Any]


@dataclass
class Stage:
    """One topic, one group, one sandbox: what stands around a worker."""

    bootstrap: str
    topic: str
    group: str
    api: Sandbox

    def settings(self, **more: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA_TOPICS": self.topic,
            "KAFKA_GROUP_ID": self.group,
            "OPTICO_URL": self.api.url,
        } | more

    def produce(self, records: list[Record], **options: Any) -> None:
        produce(self.bootstrap, self.topic, records, **options)

    def committed(self) -> dict[int, int]:
        return committed(self.bootstrap, self.group, self.topic)

    def all_committed(self) -> bool:
        ends = {partition: end for partition, end in end_offsets(self.bootstrap, self.topic).items() if end}
        offsets = self.committed()
        return all(offsets.get(partition) == end for partition, end in ends.items())

    def wait_all_committed(self, timeout: float = 60.0) -> None:
        wait_until(self.all_committed, "committed = log end", timeout)

    def held(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the API holds, by kind and id."""
        return {(record.kind, record.id): record.params for record in self.api.records()}


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with Sandbox(keys={KEY}) as sandbox:
        yield sandbox


@pytest.fixture
def stage(kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, group: str, api: Sandbox) -> Callable[..., Stage]:
    """A factory, as tests differ in their number of partitions."""

    def create(partitions: int = 1) -> Stage:
        return Stage(kafka.bootstrap, topic(partitions), group, api)

    return create


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
