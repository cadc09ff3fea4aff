"""What the demo plays on: a broker, the API's stand-in and the worker, each found by the next."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from worker.sandbox.api import Sandbox
from worker.sandbox.broker import EmbeddedBroker
from worker.sandbox.child import HeldPort
from worker.sandbox.demo.process import WorkerProcess
from worker.sandbox.demo.stop import Stop
from worker.sandbox.traffic import UNKNOWN_VISIT

TOPIC: Final = "shop-events"
DEAD_LETTERS: Final = "shop-events-dead-letters"
_GROUP: Final = "optico-worker"
_KEY: Final = "fake-key-of-the-demo"
_PARTITIONS: Final = 4
_POLLS: Final = 50  # of a tenth of a second


@dataclass(frozen=True)
class Letter:
    """A dead letter: which record it is of, and its value."""

    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True)
class Stage:
    broker: EmbeddedBroker
    api: Sandbox
    worker: WorkerProcess

    def committed(self) -> dict[int, int]:
        """The group's committed offsets by partition. Blocks; raises KafkaError."""
        with KafkaAdminClient(bootstrap_servers=self.broker.bootstrap) as admin:
            offsets = admin.list_group_offsets({_GROUP: None})[_GROUP]
        return {at.partition: found.offset for at, found in offsets.items() if at.topic == TOPIC and found.offset >= 0}

    def letters(self, expected: int) -> list[Letter]:
        """What is on the dead-letter topic. Blocks for five seconds at most, less once there are so many.

        The embedded broker does not tell where the topic ends.
        """
        consumer = KafkaConsumer(bootstrap_servers=self.broker.bootstrap, group_id=None)
        try:
            consumer.assign([TopicPartition(DEAD_LETTERS, 0)])
            consumer.seek_to_beginning()
            letters: list[Letter] = []
            for _ in range(_POLLS):
                records = list(chain(*consumer.poll(timeout_ms=100).values()))
                letters += [_letter(record.value, dict(record.headers)) for record in records]
                if len(letters) >= expected and not records:
                    break
        finally:
            consumer.close()
        return letters


def _letter(value: bytes | None, headers: dict[str, bytes]) -> Letter:
    return Letter(int(headers["dlq.partition"]), int(headers["dlq.offset"]), value)


@contextmanager
def stage(stop: Stop) -> Iterator[Stage]:
    """Sets everything up, and takes it down at the end, the worker first. Blocks for a few seconds.

    Raises BrokerUnavailableError, SandboxError, KafkaError, OSError or DemoError where something can't be had, and
    InterruptedDemoError.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optico-demo-")))
        broker = stack.enter_context(EmbeddedBroker())
        stop.pause()
        broker.create_topic(TOPIC, _PARTITIONS)
        broker.create_topic(DEAD_LETTERS)
        stop.pause()
        port = HeldPort()  # so that nobody takes the API's place while it is down
        stack.callback(port.release)
        api = stack.enter_context(Sandbox({_KEY}, port=port.number, unknown_visits=frozenset({UNKNOWN_VISIT})))
        worker = stack.enter_context(WorkerProcess(folder, _variables(broker, api)))
        yield Stage(broker, api, worker)


def _variables(broker: EmbeddedBroker, api: Sandbox) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_TOPICS": TOPIC,
        "KAFKA_DLQ_TOPIC": DEAD_LETTERS,
        "KAFKA_GROUP_ID": _GROUP,
        "KAFKA_ASSIGNOR": "range",
        # The embedded broker forms a group half a session time-out after its first member came.
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "OPTICO_URL": api.url,
        "OPTICO_API_KEY": _KEY,
        "WORKER_HTTP_HOST": "127.0.0.1",
        "WORKER_HTTP_PORT": "0",
    }
