"""Kafka for the fault suite: each broker behind a proxy of its own, under which it advertises itself."""

import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from tests.brokers.distribution import Distribution
from tests.brokers.kafka import KafkaCluster
from tests.brokers.node import Node, Ports
from tests.chaos.proxy import Proxy


class ProxiedCluster(KafkaCluster):
    """Clients of `bootstrap` go through the proxies, those of `internal` do not. Brokers talk without them."""

    def __init__(self, brokers: int = 1, **options: Any) -> None:
        # Offsets are written as safely as the events, or a lost broker would take commits with it.
        properties = {"min.insync.replicas": "2"} if brokers > 2 else {}
        super().__init__(brokers, properties=properties, **options)
        self.proxies: list[Proxy] = []
        self._proxied = ExitStack()

    def __enter__(self) -> Self:
        with self._proxied:
            super().__enter__()
            self._proxied = self._proxied.pop_all()
        self.bootstrap = ",".join(proxy.address for proxy in self.proxies)
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._proxied.close()

    def folder(self, broker: int) -> Path:
        """Where the broker keeps its partitions."""
        return self._nodes[broker]._folder / "data"

    def configure_topic(self, name: str, config: Mapping[str, str]) -> None:
        with self._admin() as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(config))])

    def add_partitions(self, name: str, total: int) -> None:
        with self._admin() as admin:
            admin.create_partitions({name: total})

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Removes what lies before that offset, as retention does."""
        with self._admin() as admin:
            admin.delete_records({TopicPartition(topic, partition): before})

    def corrupt(self, topic: str, partition: int, draw: random.Random) -> None:
        """Flips a bit in a record's bytes, in the newest segment of a broker that is stopped."""
        (segment,) = (self.folder(0) / f"{topic}-{partition}").glob("*.log")
        data = bytearray(segment.read_bytes())
        assert data, f"{segment} is empty"
        data[draw.choice(_contents(data))] ^= 1 << draw.randrange(8)
        segment.write_bytes(bytes(data))

    def _prepare(self, distribution: Distribution, folder: Path, ports: Sequence[Ports]) -> list[Node]:
        nodes = super()._prepare(distribution, folder, ports)
        for node in nodes:
            own = node.ports.client
            proxy = self._proxied.enter_context(Proxy("127.0.0.1", own.number))
            self.proxies.append(proxy)
            config = node._config.read_text()
            advertised = f"advertised.listeners=CLIENT://{own.address}"
            assert advertised in config
            node._config.write_text(config.replace(advertised, f"advertised.listeners=CLIENT://{proxy.address}"))
        return nodes


def _contents(data: bytearray) -> list[int]:
    """Where the batches of a segment hold records; their heads stay as they are, or nothing could be read at all."""
    head, size_at, places, start = 61, 8, [], 0
    while start + head < len(data):
        end = start + 12 + int.from_bytes(data[start + size_at : start + 12], "big")
        places += list(range(start + head, end))
        start = end
    return places
