"""The gate in the outbox: a shut gate stops sending and settles nothing; probes rotate and obey Retry-After."""

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
    retry_after,
)
from worker.core.event import Entity
from worker.core.gate import Change, Shut
from worker.core.outcome import DELIVERED, Outcome, Result


def shut(**rules: int | bool) -> Box:
    made = box(**rules)  # type: ignore[arg-type]
    made.shut()
    return made


def probe(made: Box, outcome: Outcome = SERVER_ERROR) -> Entity:
    delivery = made.next()
    assert delivery.probe
    made.settle(delivery, outcome)
    return delivery.entity


@pytest.mark.parametrize("outcome", [SERVER_ERROR, TIMED_OUT, TOO_MANY])
def test_five_failures_of_three_entities_in_a_row_shut_the_gate(outcome: Outcome) -> None:
    made = box()
    for delivery in made.start(A, B, C):
        assert made.settle(delivery, outcome).gate is None
    assert made.settle(made.next(), outcome).gate is None
    assert made.settle(made.next(), outcome).gate == Change(Shut.OUTAGE)


def test_one_poisonous_entity_among_good_ones_never_shuts_it() -> None:
    made = box()
    made.add(A)
    for _ in range(30):
        made.add(B)
        while (delivery := made.next()).entity != B:
            made.settle(delivery, SERVER_ERROR)
        made.settle(delivery, DELIVERED)
    assert made.outbox.gate.shut is None


def test_two_poisonous_entities_on_their_own_never_shut_it() -> None:
    made = box()
    made.add(A)
    made.add(B)
    for _ in range(50):
        assert made.settle(made.next(), SERVER_ERROR).gate is None


def test_a_key_that_is_refused_twice_for_different_entities_shuts_it() -> None:
    made = box()
    a, b, _ = made.start(A, B, C)
    assert made.settle(a, KEY_REFUSED).gate is None
    assert made.settle(b, KEY_REFUSED).gate == Change(Shut.INVALID_API_KEY)


def test_a_key_that_is_refused_for_the_only_entity_shuts_it_at_once() -> None:
    made = box()
    (a,) = made.start(A)
    made.add(A)
    assert made.settle(a, KEY_REFUSED).gate == Change(Shut.INVALID_API_KEY)


def test_a_key_that_is_refused_for_one_of_two_does_not_shut_it() -> None:
    made = box()
    (a,) = made.start(A)
    made.add(B)
    assert made.settle(a, KEY_REFUSED).gate is None
    assert made.settle(made.next(), DELIVERED).gate is None
    assert made.outbox.gate.shut is None


def test_shut_it_stops_sending_and_reading_goes_on() -> None:
    made = shut()
    for _ in range(100):
        made.add(D)
        made.add(E)
    assert made.outbox.full() is None
    assert made.nothing()
    assert made.outbox.counts.collapsed == {"cart": 198}
    assert made.outbox.unsettled == 5


def test_probes_go_out_one_at_a_time() -> None:
    made = shut()
    first = made.next()
    assert first.probe
    made.pass_time(300.0)
    assert made.nothing()
    assert made.outbox.wake_at(made.now) is None
    made.settle(first, SERVER_ERROR)
    assert made.next().probe


def test_probes_are_one_to_thirty_seconds_apart() -> None:
    made = shut()
    before, gaps = made.now, []
    for _ in range(9):
        probe(made)
        gaps.append(made.now - before)
        before = made.now
    assert gaps == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]


def test_never_tried_entities_are_probed_first_and_then_they_rotate() -> None:
    made = shut()
    made.add(D)
    made.pass_time(0.1)
    made.add(E)
    tried = [probe(made) for _ in range(2)]
    assert set(tried) == {D, E}
    rotation = [probe(made) for _ in range(5)]
    assert set(rotation) == {A, B, C, D, E}
    assert [probe(made) for _ in range(10)] == rotation * 2


def test_a_new_entity_goes_before_those_that_failed() -> None:
    made = shut()
    for _ in range(7):
        probe(made)
    made.add(E)
    assert probe(made) == E


def test_a_probe_obeys_what_the_api_asked_this_entity_to_wait() -> None:
    made = shut()
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
    made = shut()
    may = {}
    for seconds in (60.0, 30.0, 60.0):
        may[probe(made, retry_after(seconds))] = made.now + seconds
    first = min(may, key=lambda entity: may[entity])
    assert probe(made) == first
    assert may[first] <= made.now <= may[first] + 30.0


def test_what_a_replaced_event_was_told_to_wait_its_successor_waits_too() -> None:
    made = shut()
    asked = {probe(made, retry_after(60.0)): made.now for _ in range(3)}
    until = min(asked.values()) + 60.0
    for entity in (A, B, C):
        made.add(entity)
    probe(made)
    assert made.now >= until


@pytest.mark.parametrize("answer", ANSWERS)
def test_any_answer_opens_it_and_everybody_goes(answer: Outcome) -> None:
    made = shut()
    made.add(D)
    made.add(E)
    delivery = made.next()
    settled = made.settle(delivery, answer)
    assert settled.gate is not None
    assert settled.gate.shut is None
    made.pass_time(60.0)
    assert {made.take().entity for _ in range(4)} == {A, B, C, D, E} - {delivery.entity}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_late_answer_to_a_request_from_before_opens_it(answer: Outcome) -> None:
    made = box()
    (late,) = made.start(D)
    made.shut()
    settled = made.settle(late, answer)
    assert settled.gate is not None
    assert settled.gate.shut is None


def test_a_probe_that_comes_back_after_the_gate_opened_and_shut_again_blocks_nobody_for_ever() -> None:
    made = box()
    (late,) = made.start(D)
    made.shut()
    slow = made.next()
    assert slow.probe
    made.settle(late, DELIVERED)
    made.add(E)
    while made.outbox.gate.shut is None:
        made.settle(made.next(), SERVER_ERROR)
    made.pass_time(100.0)
    assert made.nothing()
    made.settle(slow, TIMED_OUT)
    assert made.next().probe


def test_nothing_settles_because_of_the_gate() -> None:
    made = shut(max_attempts=1, dead_letters=True)
    for outcome in (SERVER_ERROR, TIMED_OUT, TOO_MANY, KEY_REFUSED) * 10:
        probe(made, outcome)
    assert (made.outbox.unsettled, made.outbox.pending, made.committable, len(made.outbox.letters)) == (3, 3, 0, 0)
    assert made.outbox.counts.settled() == 0


def test_it_opens_whatever_mix_of_poison_and_good_entities_waits() -> None:
    made = shut()
    made.add(D)
    for _ in range(10):
        made.add(E)
        poisonous = made.next()
        while poisonous.entity != E:
            made.settle(poisonous, SERVER_ERROR)
            poisonous = made.next()
        made.settle(poisonous, DELIVERED)
        assert made.outbox.gate.shut is None
        for _ in range(8):
            if made.outbox.gate.shut is None:
                made.settle(made.next(), SERVER_ERROR)


def test_a_partition_that_is_about_to_go_is_not_probed() -> None:
    made = box(partitions=(P0, P1))
    made.shut()
    made.add(D, P1)
    made.outbox.suspend([P1])
    assert D not in {probe(made) for _ in range(6)}
    made.outbox.assign([P1], made.now)
    assert probe(made) == D


def test_with_nothing_to_probe_with_it_waits_for_something() -> None:
    made = shut()
    made.lose(P0)
    assert made.nothing()
    assert made.outbox.wake_at(made.now) is None
    made.own(P0)
    made.add(D)
    assert probe(made, DELIVERED) == D
    assert made.outbox.gate.shut is None


def test_a_pause_by_429_holds_probes_too() -> None:
    made = shut()
    probe(made, retry_after(50.0, "http_429"))
    until = made.now + 50.0
    probe(made)
    assert made.now >= until


def test_the_rate_holds_for_probes_too() -> None:
    made = shut()
    made.outbox.rate.set(0.0, made.now)
    made.pass_time(100.0)
    assert made.nothing()
    assert made.outbox.wake_at(made.now) == float("inf")
    made.outbox.rate.set(1.0, made.now)
    assert made.take().probe


def test_a_rejected_probe_is_settled_like_any_other() -> None:
    made = shut()
    probe(made, REJECTED)
    assert made.outbox.counts.rejected == {("cart", "unknown_visit_id"): 1}
    assert made.outbox.unsettled == 2


def test_an_event_is_probed_in_its_newest_state() -> None:
    made = shut()
    made.add(D)
    newest = made.add(D)
    delivery = made.next()
    assert (delivery.entity, delivery.event.offset) == (D, newest)


def test_an_event_that_could_not_be_sent_opens_nothing_and_counts_as_no_request() -> None:
    made = box(window=0.0)
    for entity in (A, B, C, D, E):
        made.add(entity)
    for _ in range(5):
        made.settle(made.take(), SERVER_ERROR)
    requests = made.outbox.counts.requests.copy()
    made.pass_time(60.0)
    probe = made.take()
    assert probe.probe
    made.settle(probe, Outcome(Result.REJECTED, "payload_too_large", "too long", asked=False))
    assert made.outbox.gate.shut is not None
    assert made.outbox.counts.requests == requests
    assert made.outbox.counts.rejected["cart", "payload_too_large"] == 1
    assert made.take().probe
