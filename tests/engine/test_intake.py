"""The intake: what a poll hands out comes into the outbox."""

from structlog.testing import capture_logs

from tests.engine.test_hot_path import PARTITION, Kept, ready
from tests.formats.events import cart, value


def batch(first: int, *ids: str) -> list[Kept]:
    return [Kept(offset, value(cart(id=entity))) for offset, entity in enumerate(ids, first)]


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
