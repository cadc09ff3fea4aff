"""One run of a scenario: a topic, a group, an API, traffic and workers around one seed, and what came of it."""

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata

from tests.brokers.tools import PATIENCE, committed, end_offsets
from tests.chaos import checks
from tests.chaos.cluster import ProxiedCluster
from tests.chaos.ledger import Ledger
from tests.chaos.offsets import position
from tests.chaos.pages import busy, calm
from tests.chaos.process import ChaosWorker
from tests.chaos.proxy import Proxy
from tests.chaos.traffic import UNKNOWN_VISIT, Mix, Traffic
from worker.sandbox.api import Sandbox

#: How long all may take to come to rest after the fault is over (s); generous, as the machine may be busy.
REST_WITHIN = 240.0
CONCURRENCY = 8
_PAUSE = 0.2


class RunError(AssertionError):
    """What must hold did not."""


@dataclass(frozen=True)
class Options:
    """What of a world a kind of fault chooses. `lossy`: answers get lost on the way, unseen by the API."""

    brokers: int = 1
    partitions: int = 4
    dead_letters: bool = True
    lossy: bool = False
    letters_exist: bool = True
    letters_config: dict[str, str] = field(default_factory=dict)
    tweak: str | None = None
    mix: Mix = field(default_factory=Mix)
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """What a run that passed says of itself. Times in seconds."""

    seconds: float
    recovery: float
    events: int
    requests: int
    duplicates: int
    late: int
    ownerships: int
    longest_gap: float


class World:
    """Context manager. Scenarios steer it; `finish` brings it to rest and checks everything."""

    def __init__(self, cluster: ProxiedCluster, seed: str, options: Options, bug: str | None = None) -> None:
        self.cluster, self.options, self.seed = cluster, options, seed
        self.draw = random.Random(seed)
        self.group = f"chaos-{secrets.token_hex(4)}"
        self.topic = f"{self.group}-events"
        self.letters = f"{self.group}-letters" if options.dead_letters else None
        self.ledger = Ledger(self.topic)
        self.workers: list[ChaosWorker] = []
        self.expected_exits: dict[str, int] = {}
        self._bug = bug
        self._exit = ExitStack()
        self._started = time.monotonic()
        self._healed: float | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.api = stack.enter_context(Sandbox())
            self.api.set_unknown_visits([UNKNOWN_VISIT])
            host, port = self.api.url.removeprefix("http://").split(":")
            self.api_proxy = stack.enter_context(Proxy(host, int(port)))
            self.create_topic()
            if self.letters is not None and self.options.letters_exist:
                self.create_letters()
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="optico-chaos-")))
            committed(self.cluster.internal, self.group, self.topic)  # the coordinator's log exists from here on
            self._since = position(self.cluster.internal)
            self.traffic = Traffic(self.cluster.internal, self.topic, f"{self.seed} traffic", self.options.mix)
            stack.callback(self.traffic.close)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            for worker in self.workers:
                error.add_note(f"--- {worker.name}:\n{worker.log_text()[-4000:]}")
        self._exit.close()

    # What scenarios do.

    def create_topic(self) -> None:
        self.cluster.create_topic(self.topic, self.options.partitions)

    def create_letters(self) -> None:
        assert self.letters is not None
        # Letters carry the broker's time, whatever the worker's clock says.
        config = {"message.timestamp.type": "LogAppendTime"} | self.options.letters_config
        self.cluster.create_topic(self.letters, 1, config=config)

    def file(self, name: str) -> Path:
        return self._folder / name

    def remove(self, partition: int, before: int) -> None:
        """Takes records from the log, as retention does; those that were never read are nobody's loss."""
        self.ledger.read_log_unless_damaged(self.cluster.internal)
        self.ledger.removed |= {at for at in self.ledger.written if at[1] == partition and at[2] < before}
        self.cluster.delete_records(self.topic, partition, before)

    def reset_offsets(self, offsets: Mapping[int, int]) -> None:
        """Sets the stopped group's offsets, as an operator does."""
        wanted = {TopicPartition(self.topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()}
        with KafkaAdminClient(bootstrap_servers=self.cluster.internal) as admin:
            admin.alter_group_offsets(self.group, wanted)
        self.ledger.resets.append(time.time())

    def worker(self, **settings: str) -> ChaosWorker:
        """Starts one more worker."""
        name = f"w{len(self.workers) + 1}"
        usual = {
            "KAFKA_BOOTSTRAP_SERVERS": self.cluster.bootstrap,
            "KAFKA_TOPICS": self.topic,
            "KAFKA_GROUP_ID": self.group,
            "KAFKA_CLIENT_ID": name,
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "OPTICO_URL": f"http://{self.api_proxy.address}" if self.options.lossy else self.api.url,
            "OPTICO_TIMEOUT_SECONDS": "1.5",
            "OPTICO_MAX_CONCURRENCY": str(CONCURRENCY),
            "WORKER_DRAIN_TIMEOUT_SECONDS": "20",
        }
        if self.letters is not None:
            usual["KAFKA_DLQ_TOPIC"] = self.letters
        worker = ChaosWorker(name, usual | self.options.settings | settings, self._bug or self.options.tweak)
        self._exit.enter_context(worker)
        self.workers.append(worker)
        return worker

    def running(self) -> list[ChaosWorker]:
        return [worker for worker in self.workers if worker.running]

    def sleep(self, least: float, most: float) -> None:
        """Lets things go on for a while that the seed decides. Not a proof of anything, only a moment."""
        time.sleep(self.draw.uniform(least, most))

    def until(self, condition: Callable[[], Any], what: str, within: float = 30.0) -> None:
        """Waits for it; the run fails if it does not come. A page that can't be had yet counts as no."""
        deadline = time.monotonic() + PATIENCE * within
        while not calm(condition):
            if time.monotonic() > deadline:
                raise RunError(f"waited {PATIENCE * within:g} s for {what}")
            time.sleep(_PAUSE / 4)

    def begun(self, worker: ChaosWorker) -> None:
        """Waits until the worker knows what SIGTERM means: before, Python itself ends it."""
        self.until(lambda: worker.logged("the worker starts"), f"{worker.name} to start")

    def delivered(self, more: int = 1, within: float = 60.0) -> None:
        """Waits for so many more requests to succeed."""
        before = self.api.state().outcomes.get("success", 0)
        self.until(
            lambda: self.api.state().outcomes.get("success", 0) >= before + more, f"{more} more deliveries", within
        )

    @contextmanager
    def load(self) -> Iterator[None]:
        """Traffic for as long as it takes. What is written at its end is acknowledged."""
        self.traffic.start()
        yield
        self.traffic.stop()

    def healed(self) -> None:
        """The fault is over: the time to recover begins."""
        self._healed = time.monotonic()

    # The end.

    def settle(self, within: float = REST_WITHIN) -> None:
        """Waits until nothing is left to do. The last worker's word counts for nothing: brokers and API are asked."""
        deadline = time.monotonic() + within
        while (unrest := self._unrest()) is not None:
            if time.monotonic() > deadline:
                raise RunError(f"not at rest after {within:g} s: {unrest}")
            time.sleep(_PAUSE)

    def finish(self) -> Figures:
        """Brings all to rest, ends the workers in good order, and raises RunError with all that is wrong."""
        self.traffic.stop()
        if self._healed is None:
            self.healed()
        self.settle()
        assert self._healed is not None
        recovery = time.monotonic() - self._healed
        wrong = list(self._sums())
        for worker in self.running():
            code = worker.stop(40)
            if code != 0:
                wrong.append(f"{worker.name} ended with {code}")
        wrong += self._exits()
        self.settle_offsets()
        self.ledger.collect(self.cluster.internal, self.group, self._since, self.api, self.workers)
        wrong += self._check()
        if wrong:
            raise RunError("\n".join(wrong[:20]))
        return self._figures(recovery)

    def settle_offsets(self) -> None:
        if (left := self._uncommitted()) is not None:
            raise RunError(f"after all have gone: {left}")

    def _check(self) -> Iterator[str]:
        if self.letters is not None:
            self.ledger.collect_letters(self.cluster.internal, self.letters)
            yield from checks.letters_are_exactly_the_rejected(self.ledger, lossy=self.options.lossy)
        for name, check in checks.CHECKS.items():
            if name == "duplicates explained" and self.options.lossy:
                continue
            yield from check(self.ledger)
        yield from checks.commits_pass_only_what_is_settled(self.ledger, letters=self.letters is not None)
        yield from self._duplicates_bounded()

    def _duplicates_bounded(self) -> Iterator[str]:
        """A state is repeated by a new owner, after a failure, or because its answer was lost; by nothing else."""
        held = sum(self.ledger.ownerships(f"{self.topic}-{p}") for p in range(64))
        failures = sum(not request.answered for request in self.ledger.requests)
        entities = len({request.entity for request in self.ledger.requests})
        # An answer that is lost on the way costs a connection, and is asked for again, and perhaps confirmed.
        lost = 2 * self.api_proxy.connections
        bound = failures + lost + entities * max(0, held - self.options.partitions)
        if (duplicates := self.ledger.duplicates()) > bound:
            yield f"{duplicates} duplicates, more than the {bound} that failures and moves explain"

    def _unrest(self) -> str | None:
        state = self.api.state()
        if state.in_flight or state.landing:
            return f"the API has {state.in_flight} requests in flight, {state.landing} to land"
        if (left := self._uncommitted()) is not None:
            return left
        if not self.running():
            return "no worker runs"
        return next(filter(None, map(busy, self.running())), None)

    def _uncommitted(self) -> str | None:
        ends = end_offsets(self.cluster.internal, self.topic)
        offsets = committed(self.cluster.internal, self.group, self.topic)
        return None if offsets == ends else f"committed {offsets}, log ends {ends}"

    def _sums(self) -> Iterator[str]:
        """consumed = collapsed + skipped + delivered + rejected + released, at rest."""
        for worker in self.running():
            self.ledger.given_up[worker.name] = int(worker.total("retries_total"))
            consumed = worker.total("events_consumed_total")
            parts = ("collapsed", "skipped", "delivered", "rejected", "released")
            accounted = {part: worker.total(f"events_{part}_total") for part in parts}
            if consumed != sum(accounted.values()):
                yield f"{worker.name} consumed {consumed}, accounts for {accounted}"

    def _exits(self) -> Iterator[str]:
        for worker in self.workers:
            expected = self.expected_exits.get(worker.name, 0)
            if not worker.killed and worker.ended != expected:
                yield f"{worker.name} ended with {worker.ended}, not {expected}"
            if expected == 0 and "Traceback" in worker.log_text():
                yield f"{worker.name} logged a traceback"

    def _figures(self, recovery: float) -> Figures:
        gaps = [line["longest_poll_gap_seconds"] for worker in self.workers for line in worker.logged("drained")]
        return Figures(
            seconds=time.monotonic() - self._started,
            recovery=recovery,
            events=len(self.ledger.by_version()),
            requests=len(self.ledger.requests),
            duplicates=self.ledger.duplicates(),
            late=sum(request.late for request in self.ledger.requests),
            ownerships=sum(len(held) for held in self.ledger.held.values()),
            longest_gap=max(gaps, default=0.0),
        )
