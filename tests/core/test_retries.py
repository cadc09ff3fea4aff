"""When a retry comes: 1, 2, 4 … 30 s and up to a quarter more, later where `Retry-After` asks for it."""

import pytest

from tests.core.support import (
    KEY_REFUSED,
    NOT_CONNECTED,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    TIMED_OUT,
    TOO_MANY,
    WINDOW,
    A,
    B,
    C,
    box,
    retry_after,
)
from worker.core.delivery_config import DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.outcome import DELIVERED, Outcome
from worker.engine.retry import delays


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_the_delays_double_up_to_thirty_seconds_plus_a_quarter_at_most(jitter: float) -> None:
    made = box()
    made.deliveries = DeliveryQueue(DeliveryConfig(delays(lambda: jitter)))
    made.own(P0)
    made.add(A)
    waits = []
    for _ in range(8):
        settled = made.settle(made.next(), SERVER_ERROR)
        assert settled.retry_in is not None
        waits.append(settled.retry_in)
    assert waits == pytest.approx([s * (1 + jitter / 4) for s in (1, 2, 4, 8, 16, 30, 30, 30)])


def test_a_retry_comes_when_it_was_said_and_not_before() -> None:
    made = box()
    (attempt,) = made.start(A)
    retry_in = made.settle(attempt, SERVER_ERROR).retry_in
    assert retry_in == 1.0
    made.pass_time(0.999)
    assert made.nothing()
    made.pass_time(0.001)
    assert made.take().entity == A


@pytest.mark.parametrize(
    ("asked", "expected"), [(0.0, 1.0), (0.5, 1.0), (1.5, 1.5), (60.0, 60.0), (61.0, 60.0), (1e30, 60.0)]
)
@pytest.mark.parametrize("reason", ["http_5xx", "http_other", "bad_response"])
def test_retry_after_lengthens_an_entitys_delay_up_to_60_seconds(asked: float, expected: float, reason: str) -> None:
    made = box()
    (attempt,) = made.start(A)
    assert made.settle(attempt, retry_after(asked, reason)).retry_in == expected


def test_retry_after_never_shortens_a_delay() -> None:
    made = box()
    made.add(A)
    for _ in range(5):
        made.settle(made.next(), SERVER_ERROR)
    assert made.settle(made.next(), retry_after(3.0)).retry_in == 30.0


def test_retry_after_of_one_entity_holds_no_other() -> None:
    made = box()
    (attempt,) = made.start(A)
    made.settle(attempt, retry_after(60.0))
    made.add(B)
    asked_at = made.now
    assert made.next().entity == B
    assert made.now == asked_at + WINDOW


@pytest.mark.parametrize(("asked", "paused"), [(5.0, 5.0), (60.0, 60.0), (61.0, 60.0), (1e30, 60.0)])
def test_a_429_pauses_everything_for_that_long_up_to_60_seconds(asked: float, paused: float) -> None:
    made = box()
    a, _ = made.start(A, B)
    made.add(C)
    made.settle(a, retry_after(asked, "http_429"))
    until = made.now + paused
    made.pass_time(1.0)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) == until
    made.until(until - 0.001)
    assert made.nothing()
    made.until(until)
    assert made.take().entity == C


def test_a_429_without_retry_after_pauses_everything_for_a_second() -> None:
    made = box()
    a, _ = made.start(A, B)
    made.add(C)
    made.settle(a, TOO_MANY)
    until = made.now + 1.0
    made.until(until - 0.001)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) == until


def test_pauses_that_nobody_asked_for_double_up_to_thirty_seconds() -> None:
    made = box()
    made.add(A)
    pauses = []
    for _ in range(8):
        made.settle(made.next(), TOO_MANY)
        pauses.append(made.deliveries.pause.until - made.now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("answer", [DELIVERED, REJECTED, SERVER_ERROR, KEY_REFUSED])
def test_an_answer_other_than_429_starts_the_pauses_anew(answer: Outcome) -> None:
    made = box()
    a, b = made.start(A, B)
    made.settle(a, TOO_MANY)
    again = made.next()
    made.settle(again, TOO_MANY)
    assert made.deliveries.pause.until == made.now + 2.0
    made.settle(b, answer)
    made.settle(made.next(), TOO_MANY)
    assert made.deliveries.pause.until == made.now + 1.0


@pytest.mark.parametrize("silence", [TIMED_OUT, NOT_CONNECTED])
def test_a_request_without_an_answer_does_not_start_the_pauses_anew(silence: Outcome) -> None:
    made = box()
    a, b = made.start(A, B)
    made.settle(a, TOO_MANY)
    made.settle(b, silence)
    made.settle(made.next(), TOO_MANY)
    assert made.deliveries.pause.until == made.now + 2.0


def test_429s_to_requests_that_were_in_flight_together_make_one_pause() -> None:
    made = box()
    for attempt in made.start(A, B, C):
        made.settle(attempt, TOO_MANY)
    assert made.deliveries.pause.until == made.now + 1.0


@pytest.mark.parametrize("reason", ["http_5xx", "http_other", "bad_response"])
def test_only_a_429_pauses_everything(reason: str) -> None:
    made = box()
    (a,) = made.start(A)
    made.settle(a, retry_after(60.0, reason))
    assert made.deliveries.pause.until <= made.now


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    made = box()
    a, b = made.start(A, B)
    made.settle(a, retry_after(50.0, "http_429"))
    until = made.now + 50.0
    made.settle(b, retry_after(2.0, "http_429"))
    made.add(C)
    assert made.next().entity in (B, C)
    assert made.now == until


def test_what_is_in_flight_settles_during_a_pause() -> None:
    made = box()
    a, b = made.start(A, B)
    made.settle(a, retry_after(60.0, "http_429"))
    made.settle(b, DELIVERED)
    assert made.deliveries.counts.delivered == {"cart": 1}


def test_a_429_of_a_lost_partition_pauses_everything_too() -> None:
    made = box(partitions=(P0, P1))
    (a,) = made.start(A)
    made.add(B, P1)
    made.lose(P0)
    assert made.settle(a, retry_after(60.0, "http_429")).stale
    until = made.now + 60.0
    assert made.next().entity == B
    assert made.now == until


def test_a_delivery_starts_the_delays_anew() -> None:
    made = box()
    made.add(A)
    for _ in range(4):
        made.settle(made.next(), SERVER_ERROR)
    made.settle(made.next(), DELIVERED)
    made.add(A)
    assert made.settle(made.next(), SERVER_ERROR).retry_in == 1.0


@pytest.mark.parametrize("outcome", [SERVER_ERROR, TIMED_OUT, TOO_MANY])
def test_each_retry_is_counted_by_its_reason(outcome: Outcome) -> None:
    made = box()
    (a,) = made.start(A)
    made.settle(a, outcome)
    assert made.deliveries.counts.retries == {outcome.reason: 1}
    assert made.deliveries.counts.requests == {("cart", "retryable"): 1}
