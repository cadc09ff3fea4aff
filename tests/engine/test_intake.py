"""The intake: what a poll hands out comes into the delivery queue."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from structlog.testing import capture_logs

from tests.engine.test_hot_path import PARTITION, Idle, Kept, ready
from tests.formats.events import cart, value
from worker.core.state import Partition
from worker.ports import LogEnd, TooLarge


def batch(first: int, *ids: str) -> list[Kept]:
    return [Kept(offset, value(cart(id=entity)), f"cart:{entity}".encode()) for offset, entity in enumerate(ids, first)]


def test_a_log_that_went_back_is_cut_where_the_batch_starts_also_if_its_start_is_overtaken() -> None:
    queue, intake, _ = ready()
    intake._take_in(PARTITION, batch(0, "a", "b", "c"))
    with capture_logs() as lines:
        intake._take_in(PARTITION, batch(1, "d", "d"))
        intake._take_in(PARTITION, batch(3, "e"))
    assert [(line["partition"], line["position"], line["released_events"]) for line in lines] == [("carts-0", 1, 2)]
    with queue.locked() as deliveries:
        assert deliveries.counts.released == {"lost": 2}
        assert list(deliveries.owned[PARTITION].unsettled) == [0, 2, 3]


def test_at_debug_a_line_says_what_became_of_each_record() -> None:
    _, intake, _ = ready()
    records = [*batch(0, "a", "b", "a"), Kept(3, b"", b"cart:c"), Kept(4, value(cart(id="d", products=[])), b"cart:d")]
    intake.rejected = lambda *_: None
    with logged_at(logging.DEBUG, "worker.engine.notices"), capture_logs() as lines:
        intake._take_in(PARTITION, records)
    said = {line["offset"]: line["event"].split(";")[0].split(":")[0] for line in lines}
    assert said == {0: "event collapsed", 1: "event read", 2: "event read", 4: "event skipped"}


def test_nobody_waits_for_the_queue_while_a_rejection_is_logged() -> None:
    """Whoever reads the log may be slow."""
    queue, intake, _ = ready()
    pending = []

    def log(*_: object) -> None:
        with queue.locked(patience=1.0) as deliveries:
            pending.append(deliveries.pending)

    intake.rejected = log
    intake._take_in(PARTITION, [*batch(0, "a"), Kept(1, b"", b"cart:b"), *batch(2, "c")])
    assert pending == [2]


@contextmanager
def logged_at(level: int, name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


class Quiet:
    """A member with a batch in the way now and then."""

    def __init__(self) -> None:
        self.in_the_way: dict[Partition, TooLarge] = {}
        self.paused: bool | None = None

    def too_large(self) -> dict[Partition, TooLarge]:
        return self.in_the_way

    def pause(self, paused: bool) -> None:
        self.paused = paused


def test_a_batch_that_is_too_large_is_named_once_and_pauses_nothing_else() -> None:
    _, intake, _ = ready()
    consumer: Any = Quiet()
    seen = []
    with capture_logs() as lines:
        for in_the_way in ({PARTITION: TooLarge(7, 9)}, {PARTITION: TooLarge(7, 9)}, {}):
            consumer.in_the_way = in_the_way
            intake._pause(consumer, draining=False)
            seen.append((set(intake.view.paused), consumer.paused))
    assert seen == [({"too_large"}, False), ({"too_large"}, False), (set(), False)]
    named = [line for line in lines if line["log_level"] == "error"]
    assert [(line["offset"], line["next"].split("run: ")[1]) for line in named] == [
        (7, "optico-worker replay --to-offset carts:0:9 --execute")
    ]


class Leaderless(Idle):
    """Of one partition no broker knows the end."""

    def __init__(self) -> None:
        super().__init__(3)
        self.asked_at: list[float] = []
        self.now = 1000.0

    def request_ends(self, partitions: Iterable[Partition]) -> None:
        self.asked_at.append(self.now)
        super().request_ends(partitions)

    def ends(self) -> dict[Partition, LogEnd]:
        return {partition: end for partition, end in super().ends().items() if partition.partition != 2}


def test_an_end_that_stays_unknown_is_asked_for_once_a_second_and_a_new_partition_s_at_once() -> None:
    """A partition may be without a leader for days, and the ends of all are asked for together."""
    queue, intake, _ = ready()
    member: Any = Leaderless()
    queue.clock = lambda: member.now
    for turn in range(101):
        if turn == 50:
            with queue.locked() as deliveries:
                deliveries.assign(member.positions, member.now)
        intake.turn(member)
        member.now += 0.2
    asked = [round(at - 1000.0, 1) for at in member.asked_at]
    assert asked[:4] == [0.0, 10.0, 11.0, 12.0]
    assert len(asked) == 12
