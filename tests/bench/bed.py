"""The test bed: a real Kafka, targets, workers, and topics full of events."""

import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.request import urlopen

from kafka import KafkaProducer

from tests.bench.api import Api
from tests.bench.machine import cpu_seconds, usage
from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import wait_until
from tests.integration.process import WorkerProcess
from worker.sandbox.child import Child

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


class BenchWorker(WorkerProcess):
    """A worker that can be looked at without costing it much."""

    _base: str | None = None

    def page(self) -> str:
        if self._base is None:
            self._base = self.url("/metrics")
        with urlopen(self._base, timeout=30) as response:  # noqa: S310
            return str(response.read().decode())

    def sum(self, name: str) -> float:
        """The sum of a metric over its labels."""
        found = re.findall(rf"^optico_worker_{name}(?:{{[^}}]*}})? (\S+)$", self.page(), re.MULTILINE)
        return sum(map(float, found))

    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    def resident(self) -> float:
        return usage(self.pid).resident

    def ready(self, partitions: int) -> None:
        """Waits until that many partitions are its own."""
        wait_until(lambda: self.sum("assigned_partitions") == partitions, f"{partitions} partitions", 60)


@dataclass(frozen=True)
class Reading:
    """How a worker read a topic. `rate` in events a second, `cost` in µs of processor time an event."""

    rate: float
    cost: float


class Bed:
    """Context manager. `quick`: everything small, to see that it works. `say` takes lines of progress.

    `kafka`: one that runs already; without, it has its own. `replayed`: carts in the range of a live replay.
    `beside`: a checkout of another version, to be measured in the same run.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        quick: bool,
        rounds: int,
        kafka: KafkaCluster | ExternalCluster | None = None,
        replayed: int | None = None,
        beside: Path | None = None,
    ) -> None:
        self.say, self.quick, self.rounds, self.replayed, self.beside = say, quick, rounds, replayed, beside
        self._kafka = kafka
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optico-bench-")))
            self.kafka = self._kafka or stack.enter_context(KafkaCluster())
            self.api = stack.enter_context(self.target())
            self._exit = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._exit.close()

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def seconds(self, full: float, quick: float) -> float:
        return quick if self.quick else full

    @contextmanager
    def target(self) -> Iterator[Api]:
        """One more API."""
        with self.program("tests.bench.target") as child:
            port = wait_until(lambda: child.output.read_text().strip(), "the target's port")
            yield Api(int(port), child.pid)

    @contextmanager
    def program(self, module: str, *arguments: object) -> Iterator[Child]:
        """Another program of this folder, ended with the block."""
        output = self.folder / f"{module}-{secrets.token_hex(3)}"
        command = [sys.executable, "-m", module, *map(str, arguments)]
        with Child(command, folder=ROOT, output=output, environment=_environment()) as child:
            yield child

    def topic(self, partitions: int = 4, config: Mapping[str, str] | None = None) -> str:
        name = f"bench-{secrets.token_hex(4)}"
        self.kafka.create_topic(name, partitions, config=config)
        return name

    def filled(self, records: Iterable[tuple[bytes, bytes]], partitions: int = 4) -> str:
        """A new topic with these records."""
        name = self.topic(partitions)
        produce(self.kafka.bootstrap, name, records)
        return name

    def environment(self, topic: str, *, api: Api | None = None, group: str | None = None) -> dict[str, str]:
        """What a process of ours needs to find Kafka, its topic and the API."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": group or f"bench-{secrets.token_hex(4)}",
            "OPTICO_URL": (api or self.api).url,
        }

    @contextmanager
    def worker(
        self,
        topic: str,
        settings: Mapping[str, str] = {},
        *,
        api: Api | None = None,
        group: str | None = None,
        checkout: Path | None = None,
    ) -> Iterator[BenchWorker]:
        """A worker in a group of its own, killed at the block's end; without a limit to its rate."""
        usual = self.environment(topic, api=api, group=group) | {"WORKER_COLLAPSE_WINDOW_MS": "500"}
        with BenchWorker({**usual, **settings}, checkout) as process:
            yield process

    def read_through(self, worker: BenchWorker, events: int, every: float = 0.25) -> Reading:
        """Watches a worker that has just been started read so many events, from the first look at it to the last."""
        looks: list[tuple[float, float, float]] = []
        wait_until(lambda: worker.sum("events_consumed_total"), "the first event", 60)
        deadline = time.monotonic() + 300
        while not looks or looks[-1][1] < events:
            assert time.monotonic() < deadline, f"read {looks[-1][1] if looks else 0} of {events}"
            before, cpu = time.perf_counter(), worker.cpu()
            consumed = worker.sum("events_consumed_total")
            looks.append(((before + time.perf_counter()) / 2, consumed, (cpu + worker.cpu()) / 2))
            time.sleep(every)
        moving = looks[:-1] if len(looks) > 2 else looks  # the end was reached at some time before the last look
        (since, first, cpu_first), (until, last, cpu_last) = moving[0], moving[-1]
        if last == first:
            return Reading(float("nan"), float("nan"))
        return Reading((last - first) / (until - since), (cpu_last - cpu_first) / (last - first) * 1e6)


def every(seconds: float, condition: Callable[[], T]) -> Callable[[], T]:
    """The condition, but asked no more often: each look at a worker costs it some milliseconds."""

    def look() -> T:
        time.sleep(seconds)
        return condition()

    return look


def produce(
    bootstrap: str, topic: str, records: Iterable[tuple[bytes, bytes]], partition: int | None = None, **client: Any
) -> None:
    """Many records, quickly, in their order."""
    options = {"acks": 1, "linger_ms": 20, "batch_size": 128 * 1024} | client
    producer = KafkaProducer(bootstrap_servers=bootstrap, metrics_enabled=False, **options)
    for key, value in records:
        producer.send(topic, key=key, value=value, partition=partition)
    producer.flush(120)
    producer.close(30)


def paced(
    bootstrap: str,
    topic: str,
    rate: float,
    seconds: float,
    event: Callable[[int, int], tuple[bytes, bytes]],
    *,
    partition: int | None = None,
) -> None:
    """Sends `rate` events a second, evenly; `event` gets its number and the time (UNIX, µs). Blocks for that long."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks=1, linger_ms=0, metrics_enabled=False)
    producer.partitions_for(topic)
    started = time.monotonic()
    for number in range(int(rate * seconds)):
        wait = started + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        key, value = event(number, time.time_ns() // 1000)
        producer.send(topic, key=key, value=value, partition=partition)
    producer.flush(30)
    producer.close(30)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
