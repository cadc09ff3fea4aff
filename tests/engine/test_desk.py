"""The desk with real threads: nobody misses what is due, and nobody spins."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.brokers.tools import wait_until
from worker.core.event import Entity
from worker.core.lane import Delivery
from worker.core.outbox import Outbox
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.ownership import Partition
from worker.core.rules import Rules
from worker.engine.desk import Desk

PARTITION = Partition("carts", 0)


def a_desk(window: float = 0.0) -> Desk:
    desk = Desk(Outbox(Rules(lambda _: 0.05, window=window)))
    with desk.outbox() as outbox:
        outbox.assign([PARTITION], desk.clock())
        outbox.advance(PARTITION, 0, desk.clock())
        outbox.committed({PARTITION: 0}, desk.clock())
        outbox.set_end(PARTITION, 0, desk.clock())
    return desk


def add(desk: Desk, offset: int, id_: str) -> None:
    with desk.outbox() as outbox:
        outbox.add(PARTITION, offset, Entity("cart", id_), None, size=1, occurred_at=0.0, now=desk.clock())


@contextmanager
def senders(desk: Desk, number: int, outcome: Outcome = DELIVERED) -> Iterator[list[Delivery]]:
    done: list[Delivery] = []

    def work() -> None:
        while (delivery := desk.take()) is not None:
            done.append(delivery)
            desk.settle(delivery, outcome)

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        desk.close()
        for thread in threads:
            thread.join(5)
        assert not any(thread.is_alive() for thread in threads), "a sender did not go home"


def test_everything_that_is_added_is_taken_by_whoever_is_free() -> None:
    """Eight senders take a thousand events, added while they work, each once."""
    desk = a_desk()
    with senders(desk, 8) as done:
        for offset in range(1000):
            add(desk, offset, str(offset))
        wait_until(lambda: len(done) == 1000, "all events")
    assert sorted(delivery.event.offset for delivery in done) == list(range(1000))


def test_a_window_wakes_a_sender_when_it_is_over_without_any_other_event() -> None:
    desk = a_desk(window=0.1)
    with senders(desk, 4) as done:
        started = time.monotonic()
        add(desk, 0, "a")
        wait_until(lambda: done, "the event", 5)
    assert 0.1 <= time.monotonic() - started < 1.0


def test_an_event_due_sooner_is_not_kept_waiting_by_a_later_alarm() -> None:
    """A sender sleeps until a retry in the far future; a new event is sent at once all the same."""
    desk = Desk(Outbox(Rules(lambda _: 60.0, window=0.0)))
    with desk.outbox() as outbox:
        outbox.assign([PARTITION], desk.clock())
        outbox.advance(PARTITION, 0, desk.clock())
        outbox.committed({PARTITION: 0}, desk.clock())
        outbox.set_end(PARTITION, 0, desk.clock())
    failing = Outcome(Result.RETRYABLE, "http_5xx")
    with senders(desk, 2, failing) as done:
        add(desk, 0, "a")
        wait_until(lambda: len(done) == 1, "the first attempt")
        add(desk, 1, "b")
        wait_until(lambda: len(done) == 2, "the second event", 2)


def test_idle_senders_cost_nothing() -> None:
    """With nothing due, thirty-two senders do not wake the processor."""
    desk = a_desk(window=60.0)
    with senders(desk, 32):
        add(desk, 0, "a")
        before = time.process_time()
        threading.Event().wait(0.3)
        assert time.process_time() - before < 0.1


def test_closing_wakes_everybody() -> None:
    desk = a_desk()
    with senders(desk, 4):
        pass
    assert desk.take() is None
    assert desk.take_letters() is None
