"""Attempts: one counts only if the API answered another entity since; what is used up becomes a dead letter."""

import pytest

from tests.core.support import (
    ANSWERS,
    KEY_REFUSED,
    NOT_CONNECTED,
    P0,
    P1,
    SERVER_ERROR,
    TIMED_OUT,
    TOO_MANY,
    A,
    B,
    Box,
    C,
    D,
    box,
    retry_after,
)
from worker.core.delivery_config import SettleResult
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome


def try_once(made: Box, outcome: Outcome = SERVER_ERROR) -> SettleResult:
    """One attempt of A, which waits for it."""
    attempt = made.next()
    assert attempt.entity == A
    return made.settle(attempt, outcome)


def answered(made: Box, outcome: Outcome = DELIVERED) -> None:
    """The API answers B; the time for that is short beside any retry."""
    made.add(B)
    made.pass_time(0.5)
    taken = [made.take()]
    while taken[-1].entity != B:
        taken.append(made.take())
    for attempt in taken:
        made.settle(attempt, outcome if attempt.entity == B else SERVER_ERROR)


def poison(**config: int | bool) -> Box:
    made = box(**config)  # type: ignore[arg-type]
    made.add(A)
    return made


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("failure", [SERVER_ERROR, TIMED_OUT, NOT_CONNECTED])
def test_an_attempt_counts_if_another_entity_was_answered_since_the_previous_one(
    failure: Outcome, answer: Outcome
) -> None:
    made = poison()
    try_once(made)
    for count in (1, 2, 3):
        answered(made, answer)
        assert try_once(made, failure).attempts == count


def test_without_an_answer_for_another_entity_no_attempt_counts() -> None:
    made = poison(max_attempts=1, dead_letters=True)
    for _ in range(100):
        settled = try_once(made)
        assert (settled.attempts, settled.exhausted) == (0, False)
    assert len(made.deliveries.letters) == 0


def test_one_answer_counts_one_attempt_and_no_more() -> None:
    made = poison()
    try_once(made)
    answered(made)
    assert [try_once(made).attempts for _ in range(3)] == [1, 1, 1]


def test_many_answers_count_one_attempt() -> None:
    made = poison()
    try_once(made, retry_after(60.0))
    for _ in range(10):
        made.send(B)
    assert try_once(made).attempts == 1


def test_an_answer_for_the_entity_itself_does_not_count() -> None:
    made = box(partitions=(P0, P1))
    made.add(A, P0)
    made.settle(made.next(), SERVER_ERROR)
    made.add(A, P1)
    made.settle(made.next(), DELIVERED)
    made.settle(made.next(), SERVER_ERROR)
    made.add(A, P0)
    assert made.settle(made.next(), SERVER_ERROR).attempts == 0


def test_a_429_never_counts() -> None:
    made = poison(max_attempts=1, dead_letters=True)
    for _ in range(40):
        made.add(B)
        attempt = made.next()
        settled = made.settle(attempt, TOO_MANY if attempt.entity == A else DELIVERED)
        assert (settled.attempts, settled.exhausted) == (0, False)
    assert made.deliveries.counts.retries["http_429"] >= 5


def test_an_entity_that_is_refused_while_others_succeed_uses_up_its_attempts() -> None:
    made = poison(max_attempts=3, dead_letters=True)
    try_once(made, KEY_REFUSED)
    for count in (1, 2, 3):
        answered(made)
        settled = try_once(made, KEY_REFUSED)
        assert (settled.attempts, settled.exhausted, settled.changes) == (count, count == 3, ())


def test_answers_of_the_other_kind_count_no_attempt() -> None:
    made = box(max_attempts=1, dead_letters=True)
    order = Entity("order", "a")
    made.add(order)
    for _ in range(100):
        made.add(B)
        attempt = made.next()
        settled = made.settle(attempt, SERVER_ERROR if attempt.entity == order else DELIVERED)
        assert (settled.attempts, settled.exhausted) == (0, False)


def test_of_an_event_that_has_failed_for_a_day_answers_of_either_kind_count() -> None:
    made = box(max_attempts=50, dead_letters=True)
    order = Entity("order", "a")
    made.add(order)
    made.settle(made.next(), SERVER_ERROR)
    failing_since = made.now
    counted = []
    while made.now < failing_since + 86_400 + 300:
        made.add(B)
        made.pass_time(60.0)
        for attempt in (made.take(), made.take()):
            settled = made.settle(attempt, SERVER_ERROR if attempt.entity == order else DELIVERED)
            if settled.attempts:
                counted.append(made.now - failing_since)
    assert len(counted) >= 4
    assert min(counted) >= 86_400


def test_a_newer_state_has_a_day_of_its_own() -> None:
    made = box()
    order = Entity("order", "a")
    made.add(order)
    made.settle(made.next(), SERVER_ERROR)
    made.pass_time(86_400.0)
    made.add(order)
    made.add(B)
    made.pass_time(60.0)
    for _ in range(2):
        attempt = made.take()
        settled = made.settle(attempt, SERVER_ERROR if attempt.entity == order else DELIVERED)
        assert settled.attempts == 0


def test_failures_of_others_do_not_count() -> None:
    made = poison()
    try_once(made)
    made.add(B)
    for _ in range(3):
        attempt = made.next()
        settled = made.settle(attempt, SERVER_ERROR)
        assert settled.attempts == 0


def test_after_so_many_attempts_the_event_becomes_a_dead_letter() -> None:
    made = poison(max_attempts=3, dead_letters=True)
    try_once(made)
    for _ in range(2):
        answered(made)
        assert not try_once(made).exhausted
    answered(made)
    settled = try_once(made)
    assert (settled.exhausted, settled.retry_in, settled.attempts) == (True, None, 3)
    assert made.committable == 0
    (letter,) = made.deliveries.letters.take(made.now, 10)
    assert (letter.reason, letter.attempts, letter.kind, letter.id) == ("attempts_exhausted", 3, "cart", "a")
    made.deliveries.letter_written(letter)
    assert made.deliveries.counts.rejected == {("cart", "attempts_exhausted"): 1}
    assert (made.deliveries.pending, made.committable) == (0, 4)


def test_without_a_dead_letter_topic_it_stays_is_retried_and_says_so_each_time() -> None:
    made = poison(max_attempts=2)
    try_once(made)
    for count in range(1, 6):
        answered(made)
        settled = try_once(made)
        assert (settled.attempts, settled.exhausted) == (count, count >= 2)
        assert settled.retry_in is not None
    assert (made.committable, len(made.deliveries.letters)) == (0, 0)
    try_once(made, DELIVERED)
    assert made.deliveries.pending == 0


def test_replacement_resets_the_count() -> None:
    made = poison(max_attempts=3, dead_letters=True)
    try_once(made)
    for _ in range(2):
        answered(made)
        try_once(made)
    made.add(A)
    answered(made)
    settled = try_once(made)
    assert (settled.attempts, settled.exhausted) == (1, False)


def test_replacement_in_flight_resets_the_count_even_of_the_last_attempt() -> None:
    made = poison(max_attempts=1, dead_letters=True)
    try_once(made)
    answered(made)
    attempt = made.next()
    newest = made.add(A)
    settled = made.settle(attempt, SERVER_ERROR)
    assert (settled.attempts, settled.exhausted) == (0, False)
    assert len(made.deliveries.letters) == 0
    assert made.next().event.offset == newest


def test_a_probe_never_counts() -> None:
    """Not even where others were answered since: the breaker is open, so it is an outage."""
    made = poison(max_attempts=1, dead_letters=True)
    try_once(made, retry_after(100.0))
    answered(made)
    for attempt in made.start(B, C, D):
        made.settle(attempt, SERVER_ERROR)
    while made.tripped is None:
        made.settle(made.next(), SERVER_ERROR)
    probed = 0
    while probed < 3:
        attempt = made.next()
        settled = made.settle(attempt, SERVER_ERROR)
        assert (attempt.probe, settled.attempts, settled.exhausted) == (True, 0, False)
        probed += attempt.entity == A


def test_a_confirmation_counts_from_the_delivery_on() -> None:
    """What others were answered before the state was delivered is no sign that its confirmation is poison."""
    made = box(max_attempts=1, dead_letters=True)
    (first,) = made.start(A)
    made.add(A)
    made.settle(first, TIMED_OUT)
    answered(made)
    made.settle(made.next())
    confirmation = made.next()
    assert confirmation.confirming
    settled = made.settle(confirmation, SERVER_ERROR)
    assert (settled.attempts, settled.exhausted) == (0, False)


def test_a_confirmation_has_all_attempts_of_its_own() -> None:
    made = box(max_attempts=2, dead_letters=True)
    (first,) = made.start(A)
    made.add(A)
    made.settle(first, TIMED_OUT)
    answered(made)
    assert try_once(made).attempts == 1
    try_once(made, DELIVERED)
    assert try_once(made).attempts == 0
    answered(made)
    settled = try_once(made)
    assert (settled.attempts, settled.exhausted) == (1, False)


def test_an_outage_of_an_hour_exhausts_nobody() -> None:
    made = box(max_attempts=2, dead_letters=True)
    made.trip()
    end = made.now + 3600.0
    while made.now < end:
        attempt = made.next()
        assert not made.settle(attempt, TIMED_OUT).exhausted
    assert (made.deliveries.unsettled, len(made.deliveries.letters)) == (3, 0)
