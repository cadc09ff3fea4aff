"""The intake: what a poll hands out comes into the outbox."""

from typing import Any

from structlog.testing import capture_logs

from tests.engine.test_hot_path import PARTITION, Kept, ready
from tests.formats.events import cart, value
from worker.core.ownership import Partition
from worker.ports import Membership, TooLarge


def batch(first: int, *ids: str) -> list[Kept]:
    return [Kept(offset, value(cart(id=entity)), f"cart:{entity}".encode()) for offset, entity in enumerate(ids, first)]


def test_a_log_that_went_back_is_cut_where_the_batch_starts_also_if_its_start_is_overtaken() -> None:
    desk, intake, _ = ready()
    intake._take_in(PARTITION, batch(0, "a", "b", "c"))
    with capture_logs() as lines:
        intake._take_in(PARTITION, batch(1, "d", "d"))
        intake._take_in(PARTITION, batch(3, "e"))
    assert [(line["partition"], line["position"], line["released_events"]) for line in lines] == [("carts-0", 1, 2)]
    with desk.outbox() as outbox:
        assert outbox.counts.released == {"lost": 2}
        assert list(outbox.owned[PARTITION].unsettled) == [0, 2, 3]


class Quiet:
    """A member that reads nothing, with a batch in the way now and then."""

    def __init__(self) -> None:
        self.in_the_way: dict[Partition, TooLarge] = {}
        self.paused: bool | None = None

    def too_large(self) -> dict[Partition, TooLarge]:
        return self.in_the_way

    def pause(self, paused: bool) -> None:
        self.paused = paused

    def membership(self) -> Membership:
        return Membership.STABLE

    def lease_until(self) -> float:
        return float("inf")

    def partitions(self) -> int:
        return 1

    def position(self, partition: Partition) -> int | None:
        del partition
        return None

    def poll(self, timeout: float) -> dict[Partition, Any]:
        del timeout
        return {}

    def ends(self) -> dict[Partition, int]:
        return {}

    def without_offset(self) -> set[Partition]:
        return set()

    def missing_topics(self) -> list[str]:
        return []

    def request_ends(self, partitions: Any) -> None:
        pass

    def commit(self, offsets: Any, done: Any) -> None:
        pass


def test_a_batch_that_is_too_large_is_named_once_and_pauses_nothing_else() -> None:
    _, intake, _ = ready()
    consumer: Any = Quiet()
    seen = []
    with capture_logs() as lines:
        for in_the_way in ({PARTITION: TooLarge(7, 9)}, {PARTITION: TooLarge(7, 9)}, {}):
            consumer.in_the_way = in_the_way
            intake.turn(consumer)
            seen.append((set(intake.view.paused), consumer.paused))
    assert seen == [({"too_large"}, False), ({"too_large"}, False), (set(), False)]
    named = [line for line in lines if line["log_level"] == "error"]
    assert [(line["offset"], line["next"].split("run: ")[1]) for line in named] == [
        (7, "optico-worker replay --to-offset carts:0:9 --execute")
    ]
