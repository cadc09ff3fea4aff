"""What an event and a request cost, counted instead of timed: the same on every machine, whatever else it does.

The bounds are a tenth above what was counted. Where one is passed, the hot path has got dearer: mend that, or say in
the commit why it must be so, with `make bench` before and after.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

import pytest

from tests.formats.events import cart, product, value
from worker.adapters.http import CartApi
from worker.core.outbox import Outbox
from worker.core.outcome import DELIVERED, Outcome
from worker.core.ownership import Partition
from worker.core.rules import Rules
from worker.engine.commits import Commits
from worker.engine.desk import Desk
from worker.engine.intake import Intake
from worker.engine.sender import Sender, encoder
from worker.engine.view import View
from worker.formats import ReadConfig, encode, read
from worker.sandbox.api import Sandbox

PARTITION = Partition("carts", 0)
EVENTS = 1000


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

    def post(self, path: str, body: bytes) -> Outcome:
        assert path, body
        return DELIVERED

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


def ready() -> tuple[Desk, Intake, Sender]:
    desk = Desk(Outbox(Rules(lambda _: 1.0, window=0.0, max_pending=50_000, dead_letters=False)))
    view = View(beat_at=0.0)
    never: Any = lambda *_, **__: pytest.fail("nothing is to be warned of")  # noqa: E731
    intake = Intake(desk, view, Commits(desk, view), read, ReadConfig(), 0.0, never, never)
    with desk.outbox() as outbox:
        outbox.assign([PARTITION], desk.clock())
        outbox.advance(PARTITION, 0, desk.clock())
        outbox.committed({PARTITION: 0}, desk.clock())
        outbox.set_end(PARTITION, 0, desk.clock())
    return desk, intake, Sender(desk, Accepts(), Key(), encoder(ReadConfig()), Accepts(), never)


@pytest.mark.parametrize(("ids", "bound"), [(50, 15), (EVENTS, 43)], ids=["hot", "distinct"])
def test_calls_for_an_event(ids: int, bound: int) -> None:
    batch = records(ids)
    desk, intake, _ = ready()
    counted = calls(lambda: intake._take_in(PARTITION, batch)) / EVENTS
    with desk.outbox() as outbox:
        assert outbox.counts.consumed.total() == EVENTS
        assert outbox.pending == ids
    assert counted < bound, counted


def test_an_event_costs_the_same_in_small_batches_of_distinct_ids() -> None:
    desk, intake, _ = ready()
    batch = records(EVENTS)

    def one_by_one() -> None:
        for record in batch:
            intake._take_in(PARTITION, [record])

    counted = calls(one_by_one) / EVENTS
    assert counted < 106, counted
    with desk.outbox() as outbox:
        assert outbox.pending == EVENTS


@pytest.mark.parametrize(("products", "bound"), [(2, 160), (50, 900)])
def test_calls_for_a_request(products: int, bound: int) -> None:
    desk, intake, sender = ready()
    intake._take_in(PARTITION, records(EVENTS, products))

    def send_all() -> None:
        while True:
            with desk.outbox() as outbox:
                if not outbox.pending:
                    return
            delivery = desk.take()
            assert delivery is not None
            sender._report(delivery, outcome := sender._send(delivery), desk.settle(delivery, outcome))

    counted = calls(send_all) / EVENTS
    with desk.outbox() as outbox:
        assert outbox.counts.delivered.total() == EVENTS
    assert counted < bound, counted


def test_a_short_answer_takes_one_read() -> None:
    """Each takes as long as other threads keep the interpreter, which is what a request costs most."""
    with Sandbox(keys={Key.value}) as sandbox, CartApi(sandbox.url, timeout=5.0, concurrency=1) as api:
        form = encode(value(cart()), ReadConfig(), Key.value)
        body = form.body
        assert api.post(form.path, body) == DELIVERED
        assert calls(lambda: api.post(form.path, body), named="read_chunk") == 1
