"""Open circuit breakers stop sending and settle nothing; their probes rotate and obey Retry-After."""

from itertools import pairwise

import pytest

from tests.core.support import (
    ANSWERS,
    KEY_REFUSED,
    P0,
    P1,
    REJECTED,
    SERVER_ERROR,
    TIMED_OUT,
    TOO_MANY,
    A,
    B,
    Box,
    C,
    D,
    E,
    box,
    closed,
    opened,
    retry_after,
)
from worker.core.circuit_breaker import TripReason
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome, Result

ORDER = Entity("order", "a")


def tripped(**config: int | bool) -> Box:
    made = box(**config)  # type: ignore[arg-type]
    made.trip()
    return made


def probe(made: Box, outcome: Outcome = SERVER_ERROR) -> Entity:
    attempt = made.next()
    assert attempt.probe
    made.settle(attempt, outcome)
    return attempt.entity


@pytest.mark.parametrize("outcome", [SERVER_ERROR, TIMED_OUT])
def test_five_failures_of_three_entities_in_a_row_open_it(outcome: Outcome) -> None:
    made = box()
    for attempt in made.start(A, B, C):
        assert made.settle(attempt, outcome).changes == ()
    assert made.settle(made.next(), outcome).changes == ()
    assert made.settle(made.next(), outcome).changes[0].reason is TripReason.OUTAGE


def test_one_poisonous_entity_among_good_ones_never_shuts_it() -> None:
    made = box()
    made.add(A)
    for _ in range(30):
        made.add(B)
        while (attempt := made.next()).entity != B:
            made.settle(attempt, SERVER_ERROR)
        made.settle(attempt, DELIVERED)
    assert made.tripped is None


def test_two_poisonous_entities_on_their_own_never_shut_it() -> None:
    made = box()
    made.add(A)
    made.add(B)
    for _ in range(50):
        assert made.settle(made.next(), SERVER_ERROR).changes == ()


def test_a_key_that_is_refused_for_three_entities_stops_everything() -> None:
    made = box()
    a, b, c = made.start(A, B, C)
    made.add(ORDER)
    for attempt in (a, b):
        assert made.settle(attempt, KEY_REFUSED).changes == ()
    assert opened(made.settle(c, KEY_REFUSED)) == [TripReason.INVALID_API_KEY]
    made.pass_time(0.999)
    assert made.nothing()


def test_a_key_that_is_refused_for_the_only_entity_stops_everything_at_the_third_time() -> None:
    made = box()
    made.add(A)
    for _ in range(2):
        assert made.settle(made.next(), KEY_REFUSED).changes == ()
    assert opened(made.settle(made.next(), KEY_REFUSED)) == [TripReason.INVALID_API_KEY]


def test_refusals_of_requests_that_were_sent_before_an_answer_stop_nothing() -> None:
    made = box()
    *refused, good = made.start(A, B, C, D)
    made.settle(good)
    for attempt in refused:
        assert made.settle(attempt, KEY_REFUSED).changes == ()
    assert made.tripped is None


def test_open_it_stops_sending_and_reading_goes_on() -> None:
    made = tripped()
    for _ in range(100):
        made.add(D)
        made.add(E)
    assert made.deliveries.full() is None
    assert made.nothing()
    assert made.deliveries.counts.collapsed == {"cart": 198}
    assert made.deliveries.unsettled == 5


def test_probes_go_out_one_at_a_time() -> None:
    made = tripped()
    first = made.next()
    assert first.probe
    made.pass_time(300.0)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) is None
    made.settle(first, SERVER_ERROR)
    assert made.next().probe


def test_probes_are_one_to_thirty_seconds_apart() -> None:
    made = tripped()
    before, gaps = made.now, []
    for _ in range(9):
        probe(made)
        gaps.append(made.now - before)
        before = made.now
    assert gaps == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]


def test_probes_alternate_between_the_newest_and_the_one_tried_longest_ago() -> None:
    made = tripped()
    made.add(D)
    made.pass_time(0.1)
    made.add(E)
    assert [probe(made) for _ in range(2)] == [E, D]
    tried = [probe(made) for _ in range(12)]
    assert tried[::2] == [E] * 6
    assert sorted(tried[1:9:2]) == [A, B, C, D]


def test_nobody_is_probed_twice_in_a_row_while_another_could_be() -> None:
    made = tripped()
    made.add(D)
    tried = [probe(made) for _ in range(20)]
    assert all(one != other for one, other in pairwise(tried))
    assert set(tried) == {A, B, C, D}


def test_probes_are_a_second_apart_while_somebody_waits_who_was_not_tried() -> None:
    made = tripped()
    crowd = [Entity("cart", str(number)) for number in range(10)]
    for entity in crowd:
        made.add(entity)
    started = made.now
    tried = [probe(made) for _ in range(20)]
    assert set(crowd) <= set(tried)
    assert made.now - started <= 21.0


def test_somebody_new_is_tried_within_a_second() -> None:
    made = tripped()
    for _ in range(7):
        probe(made)
    made.pass_time(5.0)
    made.add(E)
    assert probe(made) == E
    assert made.deliveries.breakers.of["cart"].opened_at < made.now


def test_a_probe_obeys_what_the_api_asked_this_entity_to_wait() -> None:
    made = tripped()
    asked = {}
    for _ in range(3):
        entity = probe(made, retry_after(60.0))
        asked[entity] = made.now + 60.0
    assert set(asked) == {A, B, C}
    made.add(D)
    while set(asked) != {A, B, C, D}:
        entity = probe(made, SERVER_ERROR)
        if entity in asked:
            assert made.now >= asked[entity]
        asked.setdefault(entity, made.now)
    entity = probe(made)
    assert made.now >= asked[entity]


def test_with_everybody_told_to_wait_it_probes_when_the_first_may_be_tried() -> None:
    made = tripped()
    may = {}
    for seconds in (60.0, 30.0, 60.0):
        may[probe(made, retry_after(seconds))] = made.now + seconds
    first = min(may, key=lambda entity: may[entity])
    assert probe(made) == first
    assert may[first] <= made.now <= may[first] + 30.0


def test_what_a_replaced_event_was_told_to_wait_its_successor_waits_too() -> None:
    made = tripped()
    asked = {probe(made, retry_after(60.0)): made.now for _ in range(3)}
    until = min(asked.values()) + 60.0
    for entity in (A, B, C):
        made.add(entity)
    probe(made)
    assert made.now >= until


@pytest.mark.parametrize("answer", ANSWERS)
def test_any_answer_closes_it_and_everybody_goes(answer: Outcome) -> None:
    made = tripped()
    made.add(D)
    made.add(E)
    attempt = made.next()
    assert closed(made.settle(attempt, answer)) == [TripReason.OUTAGE]
    made.pass_time(60.0)
    assert {made.take().entity for _ in range(4)} == {A, B, C, D, E} - {attempt.entity}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_late_answer_to_a_request_from_before_closes_it(answer: Outcome) -> None:
    made = box()
    (late,) = made.start(D)
    made.trip()
    assert closed(made.settle(late, answer)) == [TripReason.OUTAGE]


def test_a_probe_that_comes_back_after_it_closed_and_opened_again_blocks_nobody_for_ever() -> None:
    made = box()
    (late,) = made.start(D)
    made.trip()
    slow = made.next()
    assert slow.probe
    made.settle(late, DELIVERED)
    made.add(E)
    while made.tripped is None:
        made.settle(made.next(), SERVER_ERROR)
    made.pass_time(100.0)
    assert made.nothing()
    made.settle(slow, TIMED_OUT)
    assert made.next().probe


def test_nothing_settles_because_a_breaker_is_open() -> None:
    made = tripped(max_attempts=1, dead_letters=True)
    for outcome in (SERVER_ERROR, TIMED_OUT, TOO_MANY, KEY_REFUSED) * 10:
        probe(made, outcome)
    assert (made.deliveries.unsettled, made.deliveries.pending, made.committable, len(made.deliveries.letters)) == (
        3,
        3,
        0,
        0,
    )
    assert made.deliveries.counts.settled() == 0


def test_it_closes_whatever_mix_of_poison_and_good_entities_waits() -> None:
    made = tripped()
    made.add(D)
    for _ in range(10):
        made.add(E)
        poisonous = made.next()
        while poisonous.entity != E:
            made.settle(poisonous, SERVER_ERROR)
            poisonous = made.next()
        made.settle(poisonous, DELIVERED)
        assert made.tripped is None
        for _ in range(8):
            if made.tripped is None:
                made.settle(made.next(), SERVER_ERROR)


def test_a_partition_that_is_about_to_go_is_not_probed() -> None:
    made = box(partitions=(P0, P1))
    made.trip()
    made.add(D, P1)
    made.deliveries.suspend([P1])
    assert D not in {probe(made) for _ in range(6)}
    made.deliveries.assign([P1], made.now)
    assert probe(made) == D


def test_with_nothing_to_probe_with_it_waits_for_something() -> None:
    made = tripped()
    made.lose(P0)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) is None
    made.own(P0)
    made.add(D)
    assert probe(made, DELIVERED) == D
    assert made.tripped is None


def test_a_pause_by_429_holds_probes_too() -> None:
    made = tripped()
    probe(made, retry_after(50.0, "http_429"))
    until = made.now + 50.0
    probe(made)
    assert made.now >= until


def test_the_rate_holds_for_probes_too() -> None:
    made = tripped()
    made.deliveries.rate.set(0.0, made.now)
    made.pass_time(100.0)
    assert made.nothing()
    assert made.deliveries.wake_at(made.now) == float("inf")
    made.deliveries.rate.set(1.0, made.now)
    assert made.take().probe


def test_a_rejected_probe_is_settled_like_any_other() -> None:
    made = tripped()
    probe(made, REJECTED)
    assert made.deliveries.counts.rejected == {("cart", "unknown_visit_id"): 1}
    assert made.deliveries.unsettled == 2


def test_an_event_is_probed_in_its_newest_state() -> None:
    made = tripped()
    made.add(D)
    newest = made.add(D)
    attempt = made.next()
    assert (attempt.entity, attempt.event.offset) == (D, newest)


def test_an_event_that_could_not_be_sent_closes_nothing_and_counts_as_no_request() -> None:
    made = box(window=0.0)
    for entity in (A, B, C, D, E):
        made.add(entity)
    for _ in range(5):
        made.settle(made.take(), SERVER_ERROR)
    requests = made.deliveries.counts.requests.copy()
    made.pass_time(60.0)
    probe = made.take()
    assert probe.probe
    made.settle(probe, Outcome(Result.REJECTED, "payload_too_large", "too long", asked=False))
    assert made.tripped is not None
    assert made.deliveries.counts.requests == requests
    assert made.deliveries.counts.rejected["cart", "payload_too_large"] == 1
    assert made.take().probe
