"""One broker of a cluster: its ports, its configuration, its folder, its process."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.brokers.distribution import Distribution
from tests.brokers.security import Security
from worker.sandbox.child import Child, HeldPort

_LOG_CONFIG = """
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1}: %m%n%throwable{5}
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
"""

# Small, quick to fail over, and never deleting what a test wrote, however old its timestamps say it is.
_PROPERTIES = {
    "process.roles": "broker,controller",
    "inter.broker.listener.name": "INTERNAL",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.segment.bytes": "10485760",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.min.isr": "1",
    "log.retention.ms": "-1",
    "log.index.size.max.bytes": "1048576",
    "log.cleaner.dedupe.buffer.size": "10485760",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
}


class Ports:
    """The three listeners of a broker. Held until released, so that a broker that is down finds its ports again."""

    def __init__(self) -> None:
        self.client, self.internal, self.controller = HeldPort(), HeldPort(), HeldPort()

    def release(self) -> None:
        for port in (self.client, self.internal, self.controller):
            port.release()


def broker_properties(node_id: int, ports: Sequence[Ports], security: Security) -> dict[str, str]:
    """The configuration of one broker of a cluster with these ports, without its folder."""
    own = ports[node_id]
    serving = f"CLIENT://{own.client.address},INTERNAL://{own.internal.address}"
    replication = str(min(3, len(ports)))
    return {
        **_PROPERTIES,
        "node.id": str(node_id),
        "listeners": f"{serving},CONTROLLER://{own.controller.address}",
        "advertised.listeners": serving,
        "listener.security.protocol.map": f"CLIENT:{security.protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": ",".join(f"{i}@{port.controller.address}" for i, port in enumerate(ports)),
        "default.replication.factor": replication,
        "offsets.topic.replication.factor": replication,
        "transaction.state.log.replication.factor": replication,
        **security.broker_properties("CLIENT"),
    }


class Node:
    """A broker that can be started again and again over the same data."""

    def __init__(
        self, node_id: int, distribution: Distribution, folder: Path, ports: Ports, properties: Mapping[str, str]
    ) -> None:
        self.id = node_id
        self.ports = ports
        self._distribution = distribution
        self._folder = folder
        self._child: Child | None = None
        folder.mkdir()
        self._log_config = folder / "log4j2.properties"
        self._log_config.write_text(_LOG_CONFIG)
        self._config = folder / "server.properties"
        lines = {**properties, "log.dirs": str(folder / "data")}
        self._config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        # The archive of classes is written by the first broker that ever runs on this machine.
        self._record = folder / "classes.jsa" if node_id == 0 and not distribution.classes.exists() else None

    def format(self, cluster_id: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Starts to prepare the storage, once, before the first start."""
        command = self._distribution.command(
            "kafka.tools.StorageTool",
            *("format", "--cluster-id", cluster_id, "--config", str(self._config), *arguments),
            log_config=self._log_config,
        )
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @property
    def pid(self) -> int:
        return self._running_or_last.pid

    def start(self) -> None:
        if self.running():
            raise RuntimeError(f"broker {self.id} runs already")
        command = self._distribution.command(
            "kafka.Kafka", str(self._config), log_config=self._log_config, record=self._record
        )
        output = self._folder / "output"
        self._child = Child(command, folder=self._folder, output=output, environment=dict(os.environ))

    def move(self, host: str) -> None:
        """Its next start listens for clients at another loopback address, on the same port."""
        before = self.ports.client.address
        self.ports.client.host = host
        config = self._config.read_text().replace(f"CLIENT://{before}", f"CLIENT://{self.ports.client.address}")
        self._config.write_text(config)

    def segment(self, topic: str, partition: int) -> Path:
        return self._folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def running(self) -> bool:
        return self._child is not None and self._child.running()

    def serves(self) -> bool:
        """Kafka opens its ports last, when the cluster has accepted the broker."""
        return self.running() and self.ports.client.accepts() and self.ports.internal.accepts()

    def stop(self, patience: float) -> bool:
        """Whether it ended by itself."""
        in_time = self._running_or_last.stop(patience)
        self._keep_record()
        return in_time

    def kill(self) -> None:
        self._running_or_last.kill()

    def end(self, patience: float) -> None:
        """The data is not needed any more, so there is nothing to wait for, except the archive of classes."""
        if self._child is None:
            return
        if self._record is not None:
            self.stop(patience)
        self._child.kill()

    def tail(self, lines: int = 40) -> str:
        return self._running_or_last.tail(lines)

    @property
    def _running_or_last(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"broker {self.id} was never started")
        return self._child

    def _keep_record(self) -> None:
        if self._record is None or not self._record.exists():
            return
        classes = self._distribution.classes
        partial = classes.with_suffix(f".{os.getpid()}")
        shutil.copy(self._record, partial)
        partial.replace(classes)
        self._record = None
