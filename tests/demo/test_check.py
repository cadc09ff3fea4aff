from dataclasses import replace

import pytest

from tests.demo.evidence import (
    FIRST,
    GOOD,
    LETTERS,
    OTHER,
    RECORDS,
    REFUSED,
    REQUESTS,
    SECOND,
    THIRD,
    VALUES,
    readings,
    record,
    request,
)
from worker.sandbox.demo.check import Evidence, Outage, check
from worker.sandbox.demo.stage import Letter

NEWEST = "every cart and order is there in its newest state"
STATES = "nothing was sent that is not an event's state"
ORDER = "no older state was sent after a newer one"
DEAD = "what can't be delivered is a dead letter, byte by byte"
COMMITTED = "everything that was written is committed"
COUNTS = "the worker's own counts add up"
OUTAGE = "the outage was noticed, and sending went on after it"
ENDED = "the worker ended in good order"


def broken(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    return {each.promise: each.problems for each in check(evidence) if not each.holds}


def test_a_good_run_passes_every_check() -> None:
    assert broken(GOOD) == {}
    assert {each.promise for each in check(GOOD)} == {NEWEST, STATES, ORDER, DEAD, COMMITTED, COUNTS, OUTAGE, ENDED}


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ((record(SECOND), record(OTHER)), "cart:1 is there in an older state"),
        ((record(THIRD),), "cart:2 is missing"),
        ((*RECORDS, record(REFUSED)), "cart:3 should not be there"),
        ((*RECORDS, record(OTHER, id="9")), "cart:9 should not be there"),
        ((*RECORDS, record(OTHER, kind="order")), "order:2 should not be there"),
        (
            (record(THIRD, params=THIRD.params | {"currency": "USD"}), record(OTHER)),
            "cart:1 is not what its event says",
        ),
        ((record(THIRD, params=THIRD.params | {"agent": "x"}), record(OTHER)), "cart:1 is not what its event says"),
    ],
    ids=["stale", "missing", "refused", "extra", "other kind", "changed", "more than said"],
)
def test_the_records_must_be_the_newest_states(records: tuple[object, ...], problem: str) -> None:
    assert broken(replace(GOOD, records=records)) == {NEWEST: (problem,)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (request(5, THIRD, outcome="missing_required_parameter"), "request 5 was answered missing_required_parameter"),
        (request(5, THIRD, outcome="invalid_api_key"), "request 5 was answered invalid_api_key"),
        (request(5, THIRD, params=THIRD.params | {"currency": "USD"}), "request 5 for cart:1 is no event's"),
        (request(5, THIRD, id="9"), "request 5 for cart:9 is no event's"),
        (request(5, THIRD, kind="order"), "request 5 for order:1 is no event's"),
        (request(5, THIRD, id=None, params={}), "request 5 for cart:None is no event's"),
    ],
    ids=["incomplete", "key", "changed", "other id", "other kind", "nothing"],
)
def test_only_states_of_events_may_be_sent(sent: object, problem: str) -> None:
    assert broken(replace(GOOD, requests=(*REQUESTS, sent))) == {STATES: (problem,)}  # type: ignore[arg-type]


def test_a_request_whose_connection_was_cut_before_it_was_read_is_no_evidence() -> None:
    cut = request(5, THIRD, id=None, params={}, outcome="client_gone", client_gone=True)
    assert broken(replace(GOOD, requests=(*REQUESTS, cut))) == {}


def test_an_older_state_after_a_newer_one_is_found_even_if_it_was_put_right_later() -> None:
    requests = (request(1, SECOND), request(2, FIRST, outcome="status", applied_at=None), *REQUESTS[1:])
    problem = "request 2 for cart:1 is of an older state than the one before it"
    assert broken(replace(GOOD, requests=requests)) == {ORDER: (problem,)}


def test_the_same_state_may_be_sent_again() -> None:
    assert broken(replace(GOOD, requests=(*REQUESTS, request(5, THIRD)))) == {}


@pytest.mark.parametrize(
    ("letters", "problem"),
    [
        (LETTERS[1:], "there is none for the record at offset 4 of partition 0"),
        (LETTERS[:1], "there is none for the record at offset 5 of partition 0"),
        ((*LETTERS, Letter(0, 3, VALUES[3])), "there is one for the record at offset 3 of partition 0, which can be"),
        ((LETTERS[0], Letter(0, 5, b"")), "the one for the record at offset 5 of partition 0 has other bytes"),
    ],
    ids=["broken event", "refused event", "good event", "other bytes"],
)
def test_dead_letters_are_of_what_cant_be_delivered(letters: tuple[Letter, ...], problem: str) -> None:
    ((promise, (found,)),) = broken(replace(GOOD, letters=letters)).items()
    assert promise == DEAD
    assert found.startswith(problem)


def test_a_dead_letter_may_come_twice() -> None:
    assert broken(replace(GOOD, letters=(*LETTERS, *LETTERS))) == {}


@pytest.mark.parametrize(
    ("committed", "said"), [({0: 6}, "6"), ({}, "nothing"), ({0: 8}, "8")], ids=["less", "nothing", "more"]
)
def test_the_committed_offset_is_the_end_of_the_log(committed: dict[int, int], said: str) -> None:
    problem = f"partition 0 ends at 7, but {said} is committed"
    assert broken(replace(GOOD, committed=committed)) == {COMMITTED: (problem,)}


@pytest.mark.parametrize(
    "changes",
    [{"events_delivered_total": 2}, {"events_consumed_total": 6, "events_delivered_total": 2}, {"pending_entities": 1}],
    ids=["lost", "not read", "pending"],
)
def test_the_workers_counts_must_account_for_every_event(changes: dict[str, float]) -> None:
    assert broken(replace(GOOD, readings=readings(**changes))).keys() == {COUNTS}


def test_events_that_were_released_may_be_read_twice() -> None:
    counted = readings(events_consumed_total=9, events_released_total=2)
    assert broken(replace(GOOD, readings=counted)) == {}


def test_an_outage_that_the_worker_did_not_notice_is_a_failure() -> None:
    assert broken(replace(GOOD, outage=Outage(0, 3, None))).keys() == {OUTAGE}


def test_without_an_outage_none_is_checked() -> None:
    assert OUTAGE not in {each.promise for each in check(replace(GOOD, outage=None))}


def test_a_worker_that_did_not_end_in_good_order_is_a_failure() -> None:
    assert broken(replace(GOOD, drained=False)).keys() == {ENDED}


def test_of_many_problems_the_first_ones_are_named_and_the_others_counted() -> None:
    records = tuple(record(OTHER, id=str(number)) for number in range(10, 1245))
    (failed,) = [each for each in check(replace(GOOD, records=(*RECORDS, *records))) if not each.holds]
    assert str(failed) == (
        f"NOT OK  {NEWEST}: cart:10 should not be there; cart:11 should not be there; cart:12 should not be there;"
        " and 1,232 more"
    )
