"""Apache Kafka for tests: a cluster of our own that tests may stop and kill, or one that is given.

Every broker is a controller too, as many as there are; a cluster of two stands still
when one is gone, a cluster of three does not.
"""

import os
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from kafka import KafkaAdminClient

from tests.brokers.distribution import Distribution, install
from tests.brokers.node import Node, Ports, broker_properties
from tests.brokers.security import Protocol, Security
from tests.brokers.tools import ask

START_SECONDS = 180.0
STOP_SECONDS = 90.0
_POLL_SECONDS = 0.02


class BrokerError(Exception):
    """A broker did not start or stop. The message ends with the last lines of its log."""


class Topics:
    """What can be asked of any cluster."""

    bootstrap: str
    internal: str  # the same brokers, without TLS or password

    def create_topic(
        self, name: str, partitions: int = 1, replication: int = -1, config: Mapping[str, str] | None = None
    ) -> None:
        """Blocks until every partition has a leader. Replication -1: the cluster's default."""
        options = {"num_partitions": partitions, "replication_factor": replication, "configs": dict(config or {})}
        with self._admin() as admin:
            admin.create_topics({name: options}, wait_for_metadata=True)

    def delete_topic(self, name: str) -> None:
        with self._admin() as admin:
            admin.delete_topics([name])

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node id of the partition's leader, -1 for none. The group coordinator leads `__consumer_offsets`."""
        (description,) = ask(self._reachable(), lambda admin: admin.describe_topics([topic]))
        return next(int(p["leader_id"]) for p in description["partitions"] if p["partition_index"] == partition)

    def _admin(self) -> Any:
        return KafkaAdminClient(bootstrap_servers=self._reachable())

    def _reachable(self) -> str:
        return self.internal


class ExternalCluster(Topics):
    """A cluster that runs already; its brokers are not ours to stop."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = self.internal = bootstrap

    @classmethod
    def from_environment(cls) -> Self | None:
        bootstrap = os.environ.get("KAFKA_TEST_BOOTSTRAP_SERVERS")
        return cls(bootstrap) if bootstrap else None


class KafkaCluster(Topics):
    """Context manager: brokers on free ports of 127.0.0.1, gone with their data when it is left.

    A broker is named by its node id, 0 and up. It keeps its port and its data when it is stopped or killed. Entering
    raises MissingError when the broker's program can't be had, and BrokerError when a broker does not start. Methods
    that start or stop block until it is done. Use it in the main thread: a broker that another one starts outlives a
    killed test run.
    """

    def __init__(
        self,
        brokers: int = 1,
        security: Protocol = "PLAINTEXT",
        *,
        client_certificate_required: bool = False,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self._size = brokers
        self._protocol: Protocol = security
        self._client_certificate_required = client_certificate_required
        self._properties = dict(properties or {})
        self._nodes: list[Node] = []
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        distribution = install()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optico-kafka-")))
            self.security = Security.create(
                self._protocol, folder, client_certificate_required=self._client_certificate_required
            )
            ports = []
            for _ in range(self._size):
                ports.append(Ports())
                stack.callback(ports[-1].release)
            self._nodes = self._prepare(distribution, folder, ports)
            stack.callback(self._end)
            self._start(self._nodes)
            self._cleanup = stack.pop_all()
        self.bootstrap = ",".join(node.ports.client.address for node in self._nodes)
        self.internal = ",".join(node.ports.internal.address for node in self._nodes)
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def start(self, broker: int) -> None:
        """Starts a stopped or killed broker and waits until it serves."""
        self._start([self._nodes[broker]])

    def stop(self, broker: int) -> None:
        """Ends the broker in good order (SIGTERM): it hands over what it leads."""
        node = self._nodes[broker]
        if not node.stop(STOP_SECONDS):
            raise BrokerError(f"broker {broker} had to be killed after {STOP_SECONDS:g} s:\n{node.tail()}")

    def kill(self, broker: int) -> None:
        """Ends the broker at once (SIGKILL), as a crash does."""
        self._nodes[broker].kill()

    def restart(self, broker: int) -> None:
        self.stop(broker)
        self.start(broker)

    def move(self, broker: int, host: str) -> None:
        """Ends the broker and starts it at another loopback address; nobody listens for clients at the former one."""
        self.stop(broker)
        self._nodes[broker].move(host)
        self.start(broker)

    def pid(self, broker: int) -> int:
        """The process id of the broker, also of its last one when it is down."""
        return self._nodes[broker].pid

    def segment(self, broker: int, topic: str, partition: int = 0) -> Path:
        """The file that holds the partition's log from its start on, as long as that is small."""
        return self._nodes[broker].segment(topic, partition)

    def log_tail(self, broker: int, lines: int = 40) -> str:
        return self._nodes[broker].tail(lines)

    def _reachable(self) -> str:
        return ",".join(node.ports.internal.address for node in self._nodes if node.running())

    def _prepare(self, distribution: Distribution, folder: Path, ports: Sequence[Ports]) -> list[Node]:
        cluster_id = secrets.token_urlsafe(16).replace("-", "_")
        nodes = []
        for i, own in enumerate(ports):
            properties = broker_properties(i, ports, self.security) | self._properties
            nodes.append(Node(i, distribution, folder / f"broker-{i}", own, properties))
        formatting = [node.format(cluster_id, self.security.format_arguments()) for node in nodes]
        for node, process in zip(nodes, formatting, strict=True):
            said, _ = process.communicate()
            if process.returncode != 0:
                raise BrokerError(f"the storage of broker {node.id} could not be formatted:\n{said}")
        return nodes

    def _start(self, nodes: Sequence[Node]) -> None:
        """All of them at once: one alone waits for its fellows."""
        for node in nodes:
            node.start()
        deadline = time.monotonic() + START_SECONDS
        for node in nodes:
            while not node.serves():
                if not node.running():
                    raise BrokerError(f"broker {node.id} ended instead of starting:\n{node.tail()}")
                if time.monotonic() > deadline:
                    raise BrokerError(f"broker {node.id} does not serve after {START_SECONDS:g} s:\n{node.tail()}")
                time.sleep(_POLL_SECONDS)

    def _end(self) -> None:
        for node in self._nodes:
            node.end(STOP_SECONDS)
