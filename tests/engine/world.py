"""What stands around the workers in the engine's state machine, and a worker in it, put together without its threads.

All of it is the broker's, the group's and the API's own knowledge: what is right is judged by that alone.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, cast
from urllib.parse import parse_qsl, quote_plus

import structlog
from kafka.errors import KafkaTimeoutError

from tests.core.world import LATEST_LANDING, POISON, REJECTED
from tests.engine.loop import Aside, SimulatedLoop
from tests.formats.events import cart, order, product, value
from worker.adapters.kafka.dead_letters import DeadLetterTopic
from worker.adapters.logs import Mask
from worker.adapters.metrics import Metrics
from worker.core.delivery_config import DeliveryConfig, SettleResult
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity, Invalid
from worker.core.outcome import Outcome, Result
from worker.core.state import Attempt, Partition
from worker.engine.commits import Commits
from worker.engine.dead_letter_writer import DeadLetterWriter
from worker.engine.intake import Intake
from worker.engine.poll_status import PollStatus
from worker.engine.rebalance import Rebalancer
from worker.engine.sender import Sender, encoder
from worker.engine.shared_queue import SharedQueue, Turn
from worker.engine.status import Status
from worker.engine.supervisor import Supervisor
from worker.formats import Form, ReadConfig, read
from worker.ports import LogEnd, Membership, TooLarge, UnavailableError
from worker.settings.secret import ApiKey

#: Marked, and different once it is encoded: either form is looked for.
KEY: Final = "kEy+Of/ThE mAcHiNe"
KEY_FORMS: Final = (KEY, quote_plus(KEY))
PARTITIONS: Final = [Partition("carts", number) for number in range(3)]
ENTITIES: Final = [Entity("order" if number == 1 else "cart", str(number)) for number in range(6)]
#: Poison fails until it is healed; as many as the smallest bound would stop intake for good.
POISONABLE: Final = ENTITIES[3:5]
DEADLINE: Final = 5.0
LEASE: Final = 14.0
MAX_POLL_RECORDS: Final = 6
CONCURRENCY: Final = 3

Nature = Literal[
    "good", "rejected", "poison", "invalid", "malformed", "empty", "tombstone", "marker", "exhausted"
]  # fmt: skip
_BAD: Final[list[Nature]] = ["rejected", "poison", "invalid", "malformed", "empty", "tombstone", "marker"]
_GOOD: Final[list[Nature]] = ["good"]
NATURES: Final[list[Nature]] = [*_BAD, *(_GOOD * len(_BAD))]
SENDABLE: Final = ("good", "rejected", "poison", "exhausted")
#: What takes an older state's place; an emptied cart is not sent itself.
NEWER: Final = (*SENDABLE, "empty")
NATURAL: Final[Mapping[str, Outcome]] = {"rejected": REJECTED, "poison": POISON}
#: What becomes of a commit: `unheard` is applied, and an error is answered.
Fate = Literal["applied", "unheard", "refused", "raised"]


class Record(NamedTuple):
    offset: int
    value: bytes | None
    key: bytes
    timestamp: int = 1_764_000_000_000
    headers: tuple[tuple[str, bytes], ...] = (("trace", b"1"),)


@dataclass(eq=False)
class Entry:
    """A record of the log; `marker` is none, but takes an offset. `answered`: nobody needs to send it any more.

    `linked`: nobody needs to hand its link to a call on any more.
    """

    partition: Partition
    entity: Entity
    nature: Nature
    version: int
    record: Record
    answered: bool
    call_id: str | None = None
    linked: bool = False


@dataclass
class Log:
    entries: list[Entry] = field(default_factory=list)
    committed: int = 0
    dirty: bool = False

    def newest(self, entity: Entity) -> int | None:
        """The version that the API must hold at rest; None: what came after the last good one may have replaced it."""
        own = [entry for entry in self.entries if entry.entity == entity and entry.nature in NEWER]
        return own[-1].version if own and own[-1].nature == "good" else None


@dataclass(eq=False)
class Flight:
    """A request in flight. `dirty`: a successor would have known of it. `abandoned_at`: when its partition went.

    `told`: the call that the request named.
    """

    attempt: Attempt
    entry: Entry
    deadline: float
    dirty: bool
    answer: "asyncio.Future[Outcome]"
    told: str | None = None
    abandoned_at: float | None = None
    void: bool = False


@dataclass(eq=False)
class Seat:
    """A place in the group, for one process after the other. `cut`: it and the group do not hear each other."""

    name: str
    process: "Process | None" = None
    heard: float = 0.0
    cut: bool = False
    expelled: bool = False
    back_at: float | None = None

    @property
    def able(self) -> bool:
        return self.process is not None and not self.cut


@dataclass
class World:
    """The clock, the topic with the group's offsets, and the API. `skew`: how far the wall clock is off."""

    dead_letters: bool
    eager: bool
    now: float = 1000.0
    skew: float = 0.0
    #: The clock jumped by a day: what is a day apart, nobody knows then.
    jumped: bool = False
    logs: dict[Partition, Log] = field(default_factory=lambda: {partition: Log() for partition in PARTITIONS})
    owners: dict[Partition, Seat | None] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    holds: dict[Entity, int] = field(default_factory=dict)
    landings: list[tuple[float, int, bool]] = field(default_factory=list)
    abandoned: list[Flight] = field(default_factory=list)

    def time(self) -> float:
        return 1_764_000_000.0 + self.now + self.skew

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def produce(self, entity: Entity, nature: Nature, call_id: str | None = None) -> None:
        if nature == "poison" and entity not in POISONABLE:
            nature = "good"
        if nature == "empty" and entity.kind == "order":
            nature = "tombstone"
        partition = PARTITIONS[int(entity.id) % len(PARTITIONS)]
        version = len(self.entries) + 1
        bare = nature in ("malformed", "tombstone", "marker")
        content = {"malformed": b'{"type": "cart", '}.get(nature) if bare else _value(entity, nature, version, call_id)
        log = self.logs[partition]
        record = Record(len(log.entries), content, str(entity).encode())
        answered = nature in ("empty", "tombstone", "marker")
        entry = Entry(partition, entity, nature, version, record, answered, call_id, nature not in SENDABLE)
        log.entries.append(entry)
        self.entries.append(entry)

    def may_land(self, flight: Flight, after: float | None) -> None:
        """A request that was given up may take effect, but not ever so late after its partition has gone."""
        if after is not None and flight.entry.nature == "good" and not flight.void:
            latest = float("inf") if flight.abandoned_at is None else flight.abandoned_at + LATEST_LANDING
            self.landings.append((min(self.now + after, latest), flight.entry.version, flight.dirty))

    def land(self) -> None:
        for landing in sorted(landing for landing in self.landings if landing[0] <= self.now):
            self.landings.remove(landing)
            self.holds[self.entries[landing[1] - 1].entity] = landing[1]

    def fetched(self, partition: Partition) -> Log:
        """An owner begins. What it can't know of, since a note was not to be had for a minute, is not to happen."""
        log = self.logs[partition]
        if not log.dirty:
            for landing in list(self.landings):
                if self.entries[landing[1] - 1].partition == partition:
                    assert not landing[2], "2: a request may land, and no note tells the next owner"
                    self.landings.remove(landing)
            for flight in self.abandoned:
                if flight.entry.partition == partition:
                    assert not flight.dirty, "2: a request is under way, and no note tells the next owner"
                    flight.void = True
        return log

    def commit(self, process: "Process", offsets: Mapping[Partition, int], ambiguous: Collection[Partition]) -> None:
        for partition, offset in offsets.items():
            log, position = self.logs[partition], process.consumer.positions.get(partition)
            assert position is not None, "1: committed what it does not own"
            assert offset >= log.committed, "1: a commit went back"
            assert offset <= position, "1: committed what was not read"
            for entry in log.entries[log.committed : offset]:
                later = log.entries[entry.record.offset + 1 : position]
                replaced = entry.nature in SENDABLE and any(
                    other.entity == entry.entity and other.nature in NEWER for other in later
                )
                assert entry.answered or replaced, f"1, 7: passed {entry.nature} {partition}@{entry.record.offset}"
                newer = [other for other in later if other.entity == entry.entity]
                excused = self.jumped or any(other.nature == "empty" or other.call_id for other in newer)
                told = entry.call_id is None or entry.linked or excused
                assert told, f"10: the link to a call of {partition}@{entry.record.offset} was lost"
            log.committed, log.dirty = offset, partition in ambiguous

    def link_told(self, entry: Entry, call_id: str | None) -> None:
        """A request, or a letter, of that record said so."""
        for other in self.logs[entry.partition].entries[: entry.record.offset + 1]:
            other.linked = other.linked or (other.entity == entry.entity and other.call_id == call_id)


class Member:
    """A process's membership: `worker.ports.Consumer`. The machine decides what is assigned, and how commits end.

    `told` holds the assignment that is told at the next poll; `fates` those of the next commits, and how many polls
    later they are answered. `slow`: committed offsets are fetched a poll after the assignment.
    """

    def __init__(self, world: World, seat: Seat, process: "Process") -> None:
        self.world, self.seat, self.process = world, seat, process
        self.positions: dict[Partition, int | None] = {}
        self.paused: set[Partition] = set()
        self.told: list[Partition] | None = None
        self.slow = False
        self.poll_fails = False
        self.fates: list[tuple[Fate, int]] = []
        self.answers: list[tuple[int, Callable[[Exception | None], None], Exception | None]] = []
        self.handed_out = 0
        self._asked: list[Partition] = []
        self._seen: dict[Partition, int | None] = {}

    def poll(self, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        del timeout
        if self.poll_fails:
            self.poll_fails = False
            raise UnavailableError("polling: no broker")
        answers, self.answers = self.answers, []
        for late, done, error in answers:
            if late:
                self.answers.append((late - 1, done, error))
            else:
                done(error)
        if self.seat.cut:
            return {}
        self.seat.heard = self.world.now
        if self.told is not None:
            self._be_told(self.told)
        self._fetch()
        return self._records()

    def _be_told(self, assigned: list[Partition]) -> None:
        self.told = None
        new = [partition for partition in assigned if partition not in self.positions]
        self.process.assigned(assigned if self.world.eager else new, new)
        kept = self.positions if self.world.eager else dict.fromkeys(self.positions) | dict.fromkeys(new)
        self.positions = {p: self.positions.get(p) for p in (assigned if self.world.eager else kept)}
        self.paused &= set(self.positions)

    def _fetch(self) -> None:
        if self.slow:
            self.slow = False
            return
        fetched = [partition for partition, position in self.positions.items() if position is None]
        logs = {partition: self.world.fetched(partition) for partition in fetched}
        dirty = [partition for partition, log in logs.items() if log.dirty]
        if dirty:
            self.process.rebalancer.found_dirty(dirty)
        for partition, log in logs.items():
            self.positions[partition] = log.committed
            self._seen.pop(partition, None)

    def _records(self) -> dict[Partition, list[Record]]:
        batches: dict[Partition, list[Record]] = {}
        left = MAX_POLL_RECORDS
        for partition, position in self.positions.items():
            if position is None or partition in self.paused:
                continue
            entries = self.world.logs[partition].entries[position : position + left]
            left -= len(entries)
            self.positions[partition] = position + len(entries)
            records = [entry.record for entry in entries if entry.nature != "marker"]
            if records:
                batches[partition] = records
        self.handed_out += sum(map(len, batches.values()))
        return batches

    def too_large(self) -> dict[Partition, TooLarge]:
        return {}

    def position(self, partition: Partition) -> int | None:
        return self.positions.get(partition)

    def moved(self) -> Collection[Partition]:
        """Only what is another position than the last time."""
        before, self._seen = self._seen, dict(self.positions)
        return [partition for partition, position in self.positions.items() if before.get(partition) != position]

    def pause(self, paused: bool) -> None:
        self.paused = set(self.positions) if paused else set()

    def commit(self, offsets: Mapping[Partition, int], done: Callable[[Exception | None], None]) -> None:
        fate, late = self.fates.pop(0) if self.fates else ("applied", 0)
        if fate == "raised":
            raise UnavailableError("committing: no coordinator")
        self.answers.append((late, done, self._commit(offsets, offsets, fate)))

    def commit_now(self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], timeout: float) -> None:
        del timeout
        error = self.commit_last(offsets, ambiguous)
        if error is not None:
            raise error

    def commit_last(self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition]) -> Exception | None:
        fate, _ = self.fates.pop(0) if self.fates else ("applied", 0)
        return self._commit(offsets, ambiguous, fate)

    def _commit(
        self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], fate: Fate
    ) -> Exception | None:
        """The group refuses those of a former generation."""
        ours = all(self.world.owners[partition] is self.seat for partition in offsets)
        if self.seat.cut or not ours or fate in ("refused", "raised"):
            return UnavailableError("commit: refused")
        self.world.commit(self.process, offsets, ambiguous)
        return None if fate == "applied" else UnavailableError("commit: not answered in time")

    def request_ends(self, partitions: Iterable[Partition]) -> None:
        self._asked = list(partitions)

    def ends(self) -> dict[Partition, LogEnd]:
        asked, self._asked = self._asked, []
        ends = {partition: len(self.world.logs[partition].entries) for partition in asked}
        return {} if self.seat.cut else {partition: LogEnd(end, end) for partition, end in ends.items()}

    def without_offset(self) -> set[Partition]:
        return set()

    def partitions(self) -> int | None:
        return len(PARTITIONS)

    def missing_topics(self) -> list[str]:
        return []

    def membership(self) -> Membership:
        return Membership.DISCONNECTED if self.seat.cut else Membership.STABLE

    def lease_until(self) -> float:
        return self.seat.heard + LEASE

    def close(self, timeout: float) -> None: ...


class Shelf(DeadLetterTopic):
    """The dead-letter topic, and its producer and futures as well. `meanwhile` happens before the acknowledgement."""

    def __init__(self, world: World, mask: Mask) -> None:
        super().__init__(cast("Any", None), "letters", mask)
        self.world = world
        self.refuses = False
        self.meanwhile: Callable[[], None] = lambda: None

    def _connected(self) -> Any:
        return self

    def send(self, topic: str, *, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> Any:
        said = b"\n".join([topic.encode(), key or b"", value, *(content for _, content in headers)]).decode()
        assert not leaked(said), "8: the key in a dead letter"
        return _Sent(self, dict(headers))


class _Sent(NamedTuple):
    shelf: Shelf
    headers: dict[str, bytes]

    def get(self, timeout: float) -> None:
        del timeout
        meanwhile, self.shelf.meanwhile = self.shelf.meanwhile, lambda: None
        meanwhile()
        if self.shelf.refuses:
            raise KafkaTimeoutError("no acknowledgement")
        partition = Partition(self.headers["dlq.topic"].decode(), int(self.headers["dlq.partition"]))
        entry = self.shelf.world.logs[partition].entries[int(self.headers["dlq.offset"])]
        entry.answered = entry.linked = True
        self.shelf.world.link_told(entry, self.headers.get("dlq.call_id", b"").decode() or None)
        if self.headers["dlq.reason"] == b"attempts_exhausted":
            entry.nature = "exhausted"


class Process:
    """A worker as worker/app.py puts it together. It is its own `Api`, and one thread does it all.

    `started` is told of each request.
    """

    def __init__(
        self, world: World, seat: Seat, rules: DeliveryConfig, rate: float, started: Callable[["Process", Flight], None]
    ) -> None:
        self.world = world
        self.started = started
        self.flights: list[Flight] = []
        self.sent: dict[tuple[int, Entity], int] = {}
        self.assigned_at: dict[Partition, float] = {}
        self.draining = False
        self.out_of_memory = False
        self.last_start = float("inf")
        self.deliveries = DeliveryQueue(rules)
        self.queue = queue = Watched(self.deliveries, clock=lambda: world.now)
        self.loop = SimulatedLoop(lambda: world.now, holds=lambda work: work == self.letter_writer.write)
        self.view = view = PollStatus(heartbeat_at=world.now)
        self.supervisor = Supervisor(queue, view, DEADLINE, rebalance_timeout=60.0)
        self.status = Status(queue, view, self.supervisor.stalled, lambda: self.draining)
        self.metrics = Metrics(self.status.snapshot, ["carts"])
        self.commits = Commits(queue, view)
        key, config = ApiKey(KEY), ReadConfig()
        self.intake = Intake(queue, view, self.commits, read, config, rate, self._rejected, warn)
        self.encode = encoder(config)
        self.encoded: Attempt | None = None
        self.rebalancer = Rebalancer(queue, self._count_rebalance, self.commits.count)
        self.shelf = Shelf(world, Mask(lambda: key.known))
        self.letter_writer = writer = DeadLetterWriter(queue, self.shelf)
        self.sender = Sender(queue, self, key, self._encode, self.metrics, warn, CONCURRENCY, writer, DEADLINE)
        self.consumer = Member(world, seat, self)
        self.sender.start(cast("asyncio.AbstractEventLoop", self.loop), Aside())

    def assigned(self, partitions: list[Partition], new: list[Partition]) -> None:
        """What was given back, and had been sent of, must have its note again; it has a minute for that."""
        free = [p for p, owner in self.deliveries.owned.items() if not owner.catching_up]
        self.rebalancer.assign(partitions, all_of_them=self.world.eager)
        self.assigned_at |= {p: self.world.now for p in partitions if p in new or p in free}

    def _encode(self, attempt: Attempt, key: str) -> Form:
        if self.out_of_memory:
            self.out_of_memory = False
            raise MemoryError
        self.encoded = attempt
        return self.encode(attempt, key)

    async def post(self, path: str, body: bytes) -> Outcome:
        """The API. It answers when `finish` says so."""
        assert self.encoded is not None
        attempt = self.encoded
        log = self.world.logs[attempt.event.owner.partition]
        entry, answer = log.entries[attempt.event.offset], self.loop.create_future()
        flight = Flight(attempt, entry, self.world.now + DEADLINE, log.dirty, answer)
        form = dict(parse_qsl(body.decode()))
        entity = Entity("order" if path.endswith("order") else "cart", form["id"])
        assert form["key"] == KEY, "the key is missing"
        version = int(form["products[0][quantity]"])
        assert (entity, version) == (flight.entry.entity, flight.entry.version), "sent what was not taken"
        flight.told = form.get("call_id")
        self.started(self, flight)
        self.flights.append(flight)
        outcome: Outcome = await answer
        if outcome.result is Result.DELIVERED:
            self.world.holds[entity] = version
        return outcome

    async def close(self) -> None:
        pass

    def send(self) -> None:
        """The sending loop does what it has to do by now, and fails loudly."""
        self.loop.turn()
        if self.sender._over.done() and (error := self.sender._over.exception()) is not None:
            raise error

    def write_letters(self) -> None:
        """The dead letters that wait are written, some at once."""
        self.send()
        held, self.loop.held = self.loop.held, []
        for future, work in held:
            future.set_result(work())
        self.send()

    def finish(self, flight: Flight, outcome: Outcome) -> SettleResult:
        """The API answers."""
        self.flights.remove(flight)
        flight.answer.set_result(outcome)
        self.send()
        return self.queue.settled.pop(flight.attempt)

    def pieces(self) -> Iterator[object]:
        yield from (
            self.queue,
            self.deliveries,
            self.view,
            self.supervisor,
            self.status,
            self.metrics,
            self.commits,
            self.intake,
        )
        yield from (
            self.sender,
            self.sender.key,
            self.rebalancer,
            self.shelf,
            self.letter_writer,
            *self.deliveries.owned.values(),
        )

    def _rejected(self, partition: Partition, record: Any, invalid: Invalid) -> None:
        warn("a record was rejected; it is not sent", per=invalid.reason, path=invalid.path, offset=record.offset)
        if not self.world.dead_letters:
            self.world.logs[partition].entries[record.offset].answered = True

    def _count_rebalance(self, kind: str) -> None:
        self.view.rebalances[kind] += 1


class Watched(SharedQueue):
    """Keeps what became of each answer, until it is asked for."""

    def __init__(self, deliveries: DeliveryQueue, clock: Callable[[], float]) -> None:
        super().__init__(deliveries, clock, letters_at_once=3 if deliveries.config.dead_letters else 0)
        self.settled: dict[Attempt, SettleResult] = {}

    def turn(self, answered: Sequence[tuple[Attempt, Outcome]], concurrency: int) -> Turn:
        turn = super().turn(answered, concurrency)
        self.settled |= {attempt: settled for (attempt, _), settled in zip(answered, turn.settled, strict=True)}
        return turn


def warn(event: str, *, per: str, **fields: object) -> None:
    structlog.get_logger("tests").warning(event, per=per, **fields)


def leaked(text: str) -> bool:
    return any(form in text for form in KEY_FORMS)


def _value(entity: Entity, nature: Nature, version: int, call_id: str | None) -> bytes:
    make = order if entity.kind == "order" else cart
    products = [] if nature == "empty" else [product(quantity=version)]
    link = {"call_id": int(call_id)} if call_id else {}
    return value(make(id=entity.id, products=products, **link, **({"currency": 7} if nature == "invalid" else {})))
