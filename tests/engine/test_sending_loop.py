"""The sending loop with a real event loop and a real poll thread: nobody misses what is due, and nobody spins."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.brokers.tools import wait_until
from tests.engine.test_hot_path import Accepts, Key
from worker.core.delivery_config import DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity
from worker.core.large import LARGE
from worker.core.letters import Letter
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.core.state import Attempt, Partition
from worker.engine.dead_letter_writer import DeadLetterWriter
from worker.engine.sender import Sender
from worker.engine.shared_queue import SharedQueue
from worker.formats import Form
from worker.ports import UnavailableError

PARTITION = Partition("carts", 0)
REJECTED = Outcome(Result.REJECTED, "unknown_visit_id", "Unknown visit_id")
FAILED = Outcome(Result.RETRYABLE, "http_5xx")


def a_queue(window: float = 0.0, delay: float = 0.05, *, letters: bool = False) -> SharedQueue:
    rules = DeliveryConfig(lambda _: delay, window=window, dead_letters=letters)
    queue = SharedQueue(DeliveryQueue(rules), letters_at_once=2 if letters else 0)
    with queue.locked() as deliveries:
        deliveries.assign([PARTITION], queue.clock())
        deliveries.advance(PARTITION, 0, queue.clock())
        deliveries.committed({PARTITION: 0}, queue.clock())
        deliveries.set_end(PARTITION, 0, queue.clock())
    return queue


def add(queue: SharedQueue, offset: int, id_: str, size: int = 1) -> None:
    with queue.locked() as deliveries:
        deliveries.add(PARTITION, offset, Entity("cart", id_), None, size=size, occurred_at=0.0, now=queue.clock())


@dataclass
class Api:
    """Answers after `latency`; None: never. `posted` holds the bodies, which are the entities' ids."""

    outcome: Outcome = DELIVERED
    latency: float | None = 0.0
    posted: list[str] = field(default_factory=list)
    closed: bool = False

    async def post(self, path: str, body: bytes) -> Outcome:
        assert path
        self.posted.append(body.decode())
        if self.latency is None:
            await asyncio.get_running_loop().create_future()
        elif self.latency:
            await asyncio.sleep(self.latency)
        return self.outcome

    async def close(self) -> None:
        self.closed = True


def by_id(attempt: Attempt, _: str) -> Form:
    return Form("/api/customer-cart", attempt.entity.id.encode())


@contextmanager
def sending(
    queue: SharedQueue,
    api: Api,
    *,
    concurrency: int = 8,
    encode: Callable[[Attempt, str], Form] = by_id,
    patience: float = 5.0,
    letters: DeadLetterWriter | None = None,
) -> Iterator[list[BaseException]]:
    """A sending loop on a thread of its own; yields what it died of."""
    died: list[BaseException] = []
    ignore: Any = lambda *_, **__: None  # noqa: E731
    sender = Sender(queue, api, Key(), encode, Accepts(), ignore, concurrency, letters, patience)

    def run() -> None:
        try:
            sender.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is
            died.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield died
    finally:
        queue.close()
        thread.join(10)
        assert not thread.is_alive(), "the sending loop does not end"
        assert api.closed


def test_everything_that_is_added_is_sent_once_while_more_is_added() -> None:
    queue, api = a_queue(), Api()
    with sending(queue, api):
        for offset in range(1000):
            add(queue, offset, str(offset))
        wait_until(lambda: len(api.posted) == 1000, "all events")
    assert sorted(map(int, api.posted)) == list(range(1000))


def test_no_more_are_in_flight_than_may_be_and_each_answer_makes_room() -> None:
    queue, api = a_queue(), Api(latency=0.02)
    most = 0
    with sending(queue, api, concurrency=3):
        for offset in range(30):
            add(queue, offset, str(offset))

        def done() -> bool:
            nonlocal most
            with queue.locked() as deliveries:
                most = max(most, deliveries.in_flight)
                return not deliveries.pending

        wait_until(done, "all events")
    assert most == 3


def test_a_window_wakes_the_loop_when_it_is_over_without_any_other_event() -> None:
    queue, api = a_queue(window=0.1), Api()
    with sending(queue, api):
        started = time.monotonic()
        add(queue, 0, "a")
        wait_until(lambda: api.posted, "the event", 5)
    assert 0.1 <= time.monotonic() - started < 0.6


def test_an_event_that_is_due_sooner_does_not_wait_for_a_later_timer() -> None:
    """The loop waits for a retry in the far future, and less than for its heartbeat; a new event is sent at once."""
    queue, api = a_queue(delay=60.0), Api(FAILED)
    with sending(queue, api):
        add(queue, 0, "a")
        wait_until(lambda: len(api.posted) == 1, "the first attempt")
        wait_until(lambda: _pending_only(queue), "its end")
        started = time.monotonic()
        add(queue, 1, "b")
        wait_until(lambda: len(api.posted) == 2, "the second event", 2)
        assert time.monotonic() - started < 0.1


def test_a_loop_with_nothing_to_do_costs_nothing() -> None:
    queue = a_queue(window=60.0)
    with sending(queue, Api()):
        add(queue, 0, "a")
        before = time.process_time()
        threading.Event().wait(0.3)
        assert time.process_time() - before < 0.05


def test_a_large_body_does_not_hold_the_loop() -> None:
    """It is encoded aside. Meanwhile others are sent."""
    encoding, go_on = threading.Event(), threading.Event()

    def encode(attempt: Attempt, key: str) -> Form:
        if attempt.event.size > LARGE:
            encoding.set()
            assert go_on.wait(60)
        return by_id(attempt, key)

    queue, api = a_queue(), Api()
    with sending(queue, api, encode=encode):
        add(queue, 0, "large", size=LARGE)
        assert encoding.wait(60)
        add(queue, 1, "small")
        wait_until(lambda: api.posted == ["small"], "the small one")
        go_on.set()
        wait_until(lambda: api.posted == ["small", "large"], "the large one")


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), KeyboardInterrupt()])
def test_a_task_does_not_die_in_silence(error: BaseException) -> None:
    def encode(_: Attempt, __: str) -> Form:
        raise error

    queue = a_queue()
    with sending(queue, Api(), encode=encode) as died:
        add(queue, 0, "a")
        wait_until(lambda: died, "the end of the loop")
    assert died == [error]


@pytest.mark.parametrize("of", ["transport", "future"])
def test_what_the_loop_says_of_a_connection_ends_nothing(of: str) -> None:
    """As uvloop does of a TLS connection that breaks at an odd moment, and of a handshake that was given up."""

    class Breaks(Api):
        async def post(self, path: str, body: bytes) -> Outcome:
            context = {"message": "Fatal error on SSL protocol", "exception": RuntimeError("it is closed"), of: None}
            asyncio.get_running_loop().call_exception_handler(context)
            return await super().post(path, body)

    queue, api = a_queue(), Breaks()
    with sending(queue, api) as died:
        add(queue, 0, "a")
        wait_until(lambda: not _pending(queue), "the event")
        add(queue, 1, "b")
        wait_until(lambda: died or not _pending(queue), "the next one")
    assert (api.posted, died) == (["a", "b"], [])


def test_a_callback_does_not_die_in_silence() -> None:
    class Breaks(Api):
        async def post(self, path: str, body: bytes) -> Outcome:
            asyncio.get_running_loop().call_soon(lambda: 1 // 0)
            return await super().post(path, body)

    queue = a_queue()
    with sending(queue, Breaks()) as died:
        add(queue, 0, "a")
        wait_until(lambda: died, "the end of the loop")
    assert isinstance(died[0], ZeroDivisionError)


def test_want_of_memory_is_not_the_event_s_fault() -> None:
    """It is not rejected: the process ends, and the event is read again by whoever starts next."""

    def encode_too_much(_: Attempt, __: str) -> Form:
        raise MemoryError

    queue = a_queue()
    with sending(queue, Api(), encode=encode_too_much) as died:
        add(queue, 0, "a")
        wait_until(lambda: died, "the end of the loop")
    with queue.locked() as deliveries:
        assert (deliveries.unsettled, len(deliveries.letters)) == (1, 0)


def test_what_breaks_in_a_turn_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    queue = a_queue()
    with sending(queue, Api()) as died:
        monkeypatch.setattr(DeliveryQueue, "take", broken)
        add(queue, 0, "a")
        wait_until(lambda: died, "the end of the loop")
    assert str(died[0]) == "planted"


def test_a_loop_that_has_failed_starts_nothing_more() -> None:
    """Closing its connections takes a while, in which events come."""
    closing, go_on = threading.Event(), threading.Event()

    class SlowToClose(Api):
        async def close(self) -> None:
            closing.set()
            await asyncio.to_thread(go_on.wait, 10)
            for _ in range(10):
                await asyncio.sleep(0)  # the loop does whatever it has been told to
            await super().close()

    def encode(attempt: Attempt, key: str) -> Form:
        if attempt.entity.id == "a":
            raise MemoryError
        return by_id(attempt, key)

    queue, api = a_queue(), SlowToClose()
    with sending(queue, api, encode=encode) as died:
        add(queue, 0, "a")
        assert closing.wait(5)
        seen = queue.sender_seen_at
        add(queue, 1, "b")
        go_on.set()
        wait_until(lambda: died, "the end of the loop")
    assert (api.posted, queue.sender_seen_at) == ([], seen)


def test_closing_awaits_what_is_in_flight() -> None:
    queue, api = a_queue(), Api(latency=0.3)
    with sending(queue, api):
        add(queue, 0, "a")
        add(queue, 1, "b")
        wait_until(lambda: len(api.posted) == 2, "the requests")
    with queue.locked() as deliveries:
        assert deliveries.counts.delivered.total() == 2


def test_closing_does_not_await_for_ever_what_never_comes_back() -> None:
    queue, api = a_queue(), Api(latency=None)
    with sending(queue, api, patience=0.1):
        add(queue, 0, "a")
        wait_until(lambda: api.posted, "the request")
    with queue.locked() as deliveries:
        assert deliveries.unsettled == 1


def test_the_loop_is_seen_to_turn() -> None:
    queue = a_queue()
    assert queue.sender_seen_at is None
    with sending(queue, Api()):
        wait_until(lambda: queue.sender_seen_at is not None, "the first turn")
        first = queue.sender_seen_at
        wait_until(lambda: queue.sender_seen_at != first, "the next one", 3)


@dataclass
class Shelf:
    """A dead-letter topic that is away for the first `failures` batches."""

    failures: int
    written: list[Letter] = field(default_factory=list)

    def write(self, letters: Sequence[Letter]) -> list[Letter]:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("planted")
        self.written += letters
        return list(letters)

    def close(self) -> None: ...


def test_dead_letters_are_written_off_the_loop_and_again_when_that_failed() -> None:
    queue, shelf = a_queue(letters=True), Shelf(failures=2)
    with sending(queue, Api(REJECTED), letters=DeadLetterWriter(queue, shelf)):
        for number in range(40):
            add(queue, number, str(number))
        wait_until(lambda: len(shelf.written) == 40, "the letters")
        wait_until(lambda: not _pending(queue), "their end")
    assert {letter.id for letter in shelf.written} == {str(number) for number in range(40)}
    assert shelf.failures == 0


def _pending(queue: SharedQueue) -> int:
    with queue.locked() as deliveries:
        return deliveries.pending


def _pending_only(queue: SharedQueue) -> bool:
    with queue.locked() as deliveries:
        return deliveries.pending == 1 and not deliveries.in_flight
