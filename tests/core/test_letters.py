"""Dead letters: what waits for one settles only when it is acknowledged, in order, and not under a lost partition."""

import pytest

from tests.core.support import P0, P1, REJECTED, START, A, B, Box, box
from worker.core.event import Entity
from worker.core.letters import Letter
from worker.core.outcome import DELIVERED


def with_letters(*rejected: Entity) -> Box:
    made = box(dead_letters=True, partitions=(P0, P1))
    for entity in rejected:
        made.send(entity, REJECTED)
    return made


def letters(made: Box, most: int = 100) -> list[Letter]:
    return made.deliveries.letters.take(made.now, most)


def test_a_rejected_event_is_settled_only_when_its_letter_is_acknowledged() -> None:
    made = with_letters(A)
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending) == (0, 1, 1)
    assert made.deliveries.counts.rejected.total() == 0
    (letter,) = letters(made)
    assert made.committable == 0
    made.deliveries.letter_written(letter)
    assert (made.committable, made.deliveries.unsettled, made.deliveries.pending, made.deliveries.pending_bytes) == (
        1,
        0,
        0,
        0,
    )
    assert made.deliveries.counts.rejected == {("cart", "unknown_visit_id"): 1}
    assert made.deliveries.counts.letters == {"unknown_visit_id": 1}


def test_without_a_dead_letter_topic_a_rejected_event_is_settled_at_once() -> None:
    made = box()
    made.send(A, REJECTED)
    assert (made.committable, made.deliveries.pending, len(made.deliveries.letters)) == (1, 0, 0)
    assert made.deliveries.counts.rejected == {("cart", "unknown_visit_id"): 1}


def test_a_letter_says_what_it_is_about() -> None:
    made = with_letters(A)
    made.refuse()
    made.refuse(B)
    api, unreadable, invalid = letters(made)
    assert (api.kind, api.id, api.reason, api.message, api.attempts) == (
        "cart",
        "a",
        "unknown_visit_id",
        "Unknown visit_id",
        1,
    )
    assert (unreadable.kind, unreadable.id, unreadable.reason, unreadable.attempts) == (
        "unknown",
        None,
        "invalid_event",
        0,
    )
    assert (invalid.kind, invalid.id) == ("cart", "b")
    assert [letter.event.coordinates.offset for letter in (api, unreadable, invalid)] == [0, 1, 2]


def test_what_comes_after_a_letter_is_sent_but_not_committed_past_it() -> None:
    made = with_letters(A)
    made.send(B)
    made.send(A)
    assert made.deliveries.counts.delivered == {"cart": 2}
    assert made.committable == 0
    (letter,) = letters(made)
    made.deliveries.letter_written(letter)
    assert made.committable == 3


def test_letters_go_out_in_order_and_no_more_of_them_than_asked_for() -> None:
    made = with_letters()
    offsets = [made.refuse() for _ in range(5)]
    assert [letter.event.offset for letter in letters(made, 3)] == offsets[:3]
    assert [letter.event.offset for letter in letters(made, 3)] == offsets[3:]
    assert letters(made, 3) == []


def test_letters_that_failed_wait_and_go_back_to_the_front_in_their_order() -> None:
    made = with_letters()
    offsets = [made.refuse() for _ in range(4)]
    failed = letters(made, 2)
    made.deliveries.letters.failed(failed, made.now)
    assert made.deliveries.letters.failing
    assert letters(made) == []
    assert made.deliveries.letters.wake_at(made.now) == START + 1.0
    made.pass_time(1.0)
    assert [letter.event.offset for letter in letters(made)] == offsets
    assert (made.committable, made.deliveries.pending) == (0, 4)


def test_each_failure_waits_longer_and_a_success_starts_over() -> None:
    made = with_letters()
    made.refuse()
    waits = []
    for _ in range(7):
        made.deliveries.letters.failed(letters(made), made.now)
        wake_at = made.deliveries.letters.wake_at(made.now)
        assert wake_at is not None
        waits.append(wake_at - made.now)
        made.until(wake_at)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    (letter,) = letters(made)
    made.deliveries.letter_written(letter)
    assert not made.deliveries.letters.failing
    made.refuse()
    made.deliveries.letters.failed(letters(made), made.now)
    assert made.deliveries.letters.wake_at(made.now) == made.now + 1.0


def test_it_stays_failing_until_a_letter_is_acknowledged() -> None:
    made = with_letters()
    made.refuse()
    made.deliveries.letters.failed(letters(made), made.now)
    made.pass_time(5.0)
    (letter,) = letters(made)
    assert made.deliveries.letters.failing
    made.deliveries.letter_written(letter)
    assert not made.deliveries.letters.failing


def test_while_letters_fail_sending_goes_on() -> None:
    made = with_letters()
    made.refuse()
    made.deliveries.letters.failed(letters(made), made.now)
    made.send(A)
    assert made.deliveries.counts.delivered == {"cart": 1}
    assert made.committable == 0


def test_the_letters_of_a_lost_partition_are_forgotten_and_those_of_others_stay() -> None:
    made = with_letters()
    made.refuse(partition=P0)
    made.refuse(partition=P1)
    assert made.lose(P0) == 1
    assert [letter.event.owner.partition for letter in letters(made)] == [P1]


def test_a_letter_acknowledged_after_its_partition_was_lost_settles_nothing() -> None:
    made = with_letters()
    made.refuse()
    (letter,) = letters(made)
    assert made.lose(P0) == 1
    made.own(P0)
    made.refuse()
    made.deliveries.letter_written(letter)
    assert made.committable == 0
    assert made.deliveries.counts.rejected.total() == 0
    assert made.deliveries.counts.letters.total() == 1
    assert made.deliveries.pending == 1


def test_a_letter_that_fails_after_its_partition_was_lost_is_not_tried_again() -> None:
    made = with_letters()
    made.refuse()
    out = letters(made)
    made.lose(P0)
    made.deliveries.letters.failed(out, made.now)
    assert (
        len(made.deliveries.letters),
        made.deliveries.letters.failing,
        made.deliveries.letters.wake_at(made.now),
    ) == (
        0,
        False,
        None,
    )


def test_losing_the_partition_of_the_failing_letters_lets_intake_go_on() -> None:
    made = with_letters()
    made.refuse()
    made.deliveries.letters.failed(letters(made), made.now)
    made.lose(P0)
    assert not made.deliveries.letters.failing


def test_an_invalid_record_never_takes_an_older_valid_event_of_its_entity_with_it() -> None:
    made = with_letters()
    offset = made.add(A)
    made.refuse(A)
    attempt = made.next()
    assert (attempt.entity, attempt.event.offset) == (A, offset)
    made.settle(attempt, DELIVERED)
    assert made.deliveries.counts.delivered == {"cart": 1}


def test_an_unreadable_record_makes_no_request() -> None:
    made = with_letters()
    made.refuse()
    assert made.deliveries.wake_at(made.now) is None
    assert made.nothing()
    assert made.deliveries.counts.requests.total() == 0


def test_an_unreadable_record_without_a_dead_letter_topic_is_settled_at_once() -> None:
    made = box()
    made.refuse()
    assert (made.committable, made.deliveries.pending, made.deliveries.pending_bytes) == (1, 0, 0)
    assert made.deliveries.counts.rejected == {("unknown", "invalid_event"): 1}


@pytest.mark.parametrize("now", [START, START + 0.5, START + 10])
def test_a_waiter_for_letters_never_spins(now: float) -> None:
    made = with_letters()
    assert made.deliveries.letters.wake_at(now) is None
    made.refuse()
    made.deliveries.letters.failed(letters(made), made.now)
    while not (taken := made.deliveries.letters.take(now, 10)):
        wake_at = made.deliveries.letters.wake_at(now)
        assert wake_at is not None
        assert wake_at > now
        now = wake_at
    assert made.deliveries.letters.wake_at(now) is None
    assert len(taken) == 1
