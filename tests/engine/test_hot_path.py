"""What an event and a request cost, counted instead of timed: the same on every machine, whatever else it does.

The bounds are a tenth above what was counted. Where one is passed, the hot path has got dearer: mend that, or say in
the commit why it must be so, with `make bench` before and after.
"""

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NamedTuple

import pytest

from tests.formats.events import cart, product, value
from worker.core.delivery_config import DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.outcome import DELIVERED, Outcome
from worker.core.state import Partition
from worker.engine.commits import Commits
from worker.engine.intake import Intake
from worker.engine.poll_status import PollStatus
from worker.engine.sender import Sender, encoder
from worker.engine.shared_queue import SharedQueue
from worker.formats import ReadConfig, read
from worker.ports import LogEnd, Membership

PARTITION = Partition("carts", 0)
EVENTS = 1000
CONCURRENCY = 32


class Kept(NamedTuple):
    """A record as the client's own: a named tuple."""

    offset: int
    value: bytes
    key: bytes
    timestamp: int = 1_764_000_000_000
    headers: tuple[tuple[str, bytes], ...] = ()


class Key:
    value, problem, path = "fake-key", None, None

    def reload(self) -> bool:
        return False


class Accepts:
    """An API that accepts what comes, and a measure that takes no note of it."""

    async def post(self, path: str, body: bytes) -> Outcome:
        assert path, body
        return DELIVERED

    async def close(self) -> None: ...

    def request(self, kind: str, seconds: float) -> None: ...

    def delivered(self, kind: str, seconds: float) -> None: ...

    def call_delivered(self, kind: str, seconds: float) -> None: ...


def calls(work: Callable[[], object], named: str | None = None) -> int:
    """How many functions were called, Python's and C's; `named`: C's of that name only."""
    count = 0

    def profile(_frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        counts = event in {"call", "c_call"} if named is None else event == "c_call" and arg.__name__ == named
        count += counts

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def records(ids: int, products: int = 2) -> list[Kept]:
    lines = [product(id=number) for number in range(products)]
    names = [str(number % ids) for number in range(EVENTS)]
    return [Kept(at, value(cart(id=name, products=lines)), f"cart:{name}".encode()) for at, name in enumerate(names)]


def ready() -> tuple[SharedQueue, Intake, Sender]:
    queue = SharedQueue(
        DeliveryQueue(DeliveryConfig(lambda _: 1.0, window=0.0, max_pending=50_000, dead_letters=False))
    )
    view = PollStatus(heartbeat_at=0.0)
    never: Any = lambda *_, **__: pytest.fail("nothing is to be warned of")  # noqa: E731
    intake = Intake(queue, view, Commits(queue, view), read, ReadConfig(), 0.0, never, never)
    with queue.locked() as deliveries:
        deliveries.assign([PARTITION], queue.clock())
        deliveries.advance(PARTITION, 0, queue.clock())
        deliveries.committed({PARTITION: 0}, queue.clock())
        deliveries.set_end(PARTITION, 0, queue.clock())
    return queue, intake, Sender(queue, Accepts(), Key(), encoder(ReadConfig()), Accepts(), never, CONCURRENCY)


@pytest.mark.parametrize(("ids", "bound"), [(50, 15), (EVENTS, 43)], ids=["hot", "distinct"])
def test_calls_for_an_event(ids: int, bound: int) -> None:
    batch = records(ids)
    queue, intake, _ = ready()
    counted = calls(lambda: intake._take_in(PARTITION, batch)) / EVENTS
    with queue.locked() as deliveries:
        assert deliveries.counts.consumed.total() == EVENTS
        assert deliveries.pending == ids
    assert counted < bound, counted


def test_an_event_costs_the_same_in_small_batches_of_distinct_ids() -> None:
    queue, intake, _ = ready()
    batch = records(EVENTS)

    def one_by_one() -> None:
        for record in batch:
            intake._take_in(PARTITION, [record])

    counted = calls(one_by_one) / EVENTS
    assert counted < 106, counted
    with queue.locked() as deliveries:
        assert deliveries.pending == EVENTS


@pytest.mark.parametrize(("products", "bound"), [(2, 160), (50, 900)])
def test_calls_for_a_request(products: int, bound: int) -> None:
    queue, intake, sender = ready()
    intake._take_in(PARTITION, records(EVENTS, products))

    delivered = 0

    def count(*_: object) -> None:
        nonlocal delivered
        delivered += 1
        if delivered == EVENTS:
            queue.close()

    sender.measure.delivered = count  # type: ignore[method-assign, assignment]
    counted = calls(sender.run) / EVENTS
    with queue.locked() as deliveries:
        assert deliveries.counts.delivered.total() == EVENTS
    assert counted < bound, counted


class Idle:
    """A member with so many partitions, of which nothing is to be read but what is put into `batches`."""

    def __init__(self, partitions: int) -> None:
        self.positions = {Partition("carts", number): 0 for number in range(partitions)}
        self.batches: dict[Partition, list[Kept]] = {}
        self._moved = list(self.positions)
        self._asked: list[Partition] = []

    def poll(self, timeout: float) -> dict[Partition, list[Kept]]:
        assert timeout
        batches, self.batches = self.batches, {}
        for partition, records in batches.items():
            self.positions[partition] += len(records)
            self._moved.append(partition)
        return batches

    def position(self, partition: Partition) -> int:
        return self.positions[partition]

    def moved(self) -> list[Partition]:
        moved, self._moved = self._moved, []
        return moved

    def request_ends(self, partitions: Iterable[Partition]) -> None:
        self._asked = list(partitions)

    def ends(self) -> dict[Partition, LogEnd]:
        asked, self._asked = self._asked, []
        return {partition: LogEnd(self.positions[partition], self.positions[partition]) for partition in asked}

    def commit(self, offsets: dict[Partition, int], done: Callable[[None], None]) -> None:
        assert offsets
        done(None)

    def pause(self, paused: bool) -> None:
        assert not paused

    too_large = dict[Partition, Any]
    without_offset = missing_topics = list[Any]
    partitions, lease_until = (lambda self: len(self.positions)), (lambda _: float("inf"))
    membership = lambda _: Membership.STABLE  # noqa: E731


def turns_of_an_idle_worker(partitions: int) -> tuple[int, int]:
    """Calls of a turn in which nothing comes, and of one in which an event does."""
    now = [1000.0]
    queue = SharedQueue(
        DeliveryQueue(DeliveryConfig(lambda _: 1.0, window=0.0, max_pending=50_000, dead_letters=False)), lambda: now[0]
    )
    view = PollStatus(heartbeat_at=0.0)
    never: Any = lambda *_, **__: pytest.fail("nothing is to be warned of")  # noqa: E731
    intake = Intake(queue, view, Commits(queue, view), read, ReadConfig(), 0.0, never, never)
    member: Any = Idle(partitions)
    with queue.locked() as deliveries:
        deliveries.assign(member.positions, now[0])
    for _ in range(3):  # positions, ends and markers become known
        intake.turn(member)
        now[0] += 2.0
    intake.turn(member)
    with queue.locked() as deliveries:
        assert not deliveries.committable()
        assert len(deliveries.owned) == len(view.ends) == partitions
    idle = calls(lambda: intake.turn(member))
    member.batches = {Partition("carts", partitions - 1): records(1)[:1]}
    busy = calls(lambda: intake.turn(member))
    with queue.locked() as deliveries:
        assert deliveries.counts.consumed.total() == deliveries.pending == 1
    return idle, busy


def test_a_turn_costs_the_same_however_many_partitions_are_idle() -> None:
    turns_of_an_idle_worker(1)  # what is cached is cached then, as levels of loggers are
    few, many = turns_of_an_idle_worker(10), turns_of_an_idle_worker(2000)
    assert many == few
    assert few[0] < 175, few
