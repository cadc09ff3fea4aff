"""Each check of the ledger finds the contradiction that it is there for, and nothing in a ledger without one."""

from collections.abc import Iterator

import pytest

from tests.chaos import checks
from tests.chaos.ledger import Ledger, Request
from tests.chaos.offsets import Commit
from tests.chaos.process import Held
from tests.chaos.traffic import Fate, Written

TOPIC = "carts"


def written(version: int, entity: str = "cart:1", fate: Fate = "deliverable", offset: int | None = None) -> Written:
    return Written(entity, version, fate, TOPIC, 0, version if offset is None else offset, timestamp=float(version))


def request(version: int, at: float, outcome: str = "success", *, worker: str = "w1", seconds: float = 0.5) -> Request:
    return Request(
        worker, "cart:1", version, outcome, at, at + seconds, at if outcome == "success" else None, late=False
    )


def ledger(*what: Written | Request | Commit) -> Ledger:
    """A ledger of these; the API holds what was last accepted, and one worker owned the partition all the time."""
    made = Ledger(TOPIC)
    made.written = {item.coordinates: item for item in what if isinstance(item, Written)}
    made.requests = [item for item in what if isinstance(item, Request)]
    made.commits = [item for item in what if isinstance(item, Commit)]
    made.records = {r.entity: r.version for r in made.requests if r.success}
    made.held = {worker: [Held(f"{TOPIC}-0", 0.0, None)] for worker in {r.worker for r in made.requests}}
    return made


def told(found: Iterator[str]) -> list[str]:
    return [line.split(":")[0] for line in found]


def test_a_run_in_good_order_contradicts_nothing() -> None:
    good = ledger(
        written(1), written(2), request(1, 2.5), request(2, 4.0), Commit(TOPIC, 0, 2, 4.0), Commit(TOPIC, 0, 3, 5.0)
    )
    for check in checks.CHECKS.values():
        assert told(check(good)) == []
    assert told(checks.commits_pass_only_what_is_settled(good, letters=False)) == []
    assert told(checks.letters_are_exactly_the_rejected(good)) == []


def test_an_event_that_never_arrived_is_lost() -> None:
    assert told(checks.nothing_lost_nothing_stale(ledger(written(1)))) == ["lost"]


def test_an_older_state_answered_last_is_stale() -> None:
    found = ledger(written(1), written(2), request(2, 3.0), request(1, 4.0))
    assert told(checks.nothing_lost_nothing_stale(found)) == ["stale"]


def test_a_late_landing_that_nobody_healed_is_stale() -> None:
    found = ledger(written(1), written(2), request(1, 2.0, "hang"), request(2, 4.0))
    found.records["cart:1"] = 1
    assert told(checks.nothing_lost_nothing_stale(found)) == ["stale"]


def test_a_refusal_that_was_never_asked_for_is_lost() -> None:
    assert told(checks.every_rejection_was_answered(ledger(written(1, fate="refused")))) == ["lost"]


def test_an_older_state_after_a_newer_one_is_seen_within_an_ownership_only() -> None:
    found = ledger(written(1), written(2), request(2, 3.0), request(1, 4.0))
    assert told(checks.no_older_state_after_a_newer_one(found)) == ["back"]
    found.held["w1"] = [Held(f"{TOPIC}-0", 0.0, 3.5), Held(f"{TOPIC}-0", 3.6, None)]
    assert told(checks.no_older_state_after_a_newer_one(found)) == []


def test_a_state_that_nobody_wrote_is_seen() -> None:
    assert told(checks.no_older_state_after_a_newer_one(ledger(request(7, 1.0)))) == ["unheard of"]


def test_two_requests_at_once_are_seen() -> None:
    found = ledger(written(1), written(2), request(1, 3.0, seconds=2.0), request(2, 4.0))
    assert told(checks.one_request_in_flight(found)) == ["twice in flight"]


def test_a_new_owner_that_did_not_wait_is_seen_unless_the_former_one_was_killed() -> None:
    found = ledger(written(1), written(2), request(1, 3.0, seconds=2.0), request(2, 4.0, worker="w2"))
    assert told(checks.one_request_in_flight(found)) == []
    found.orderly = {"w1", "w2"}
    assert told(checks.one_request_in_flight(found)) == ["not waited for"]


def test_a_repetition_needs_a_reason() -> None:
    found = ledger(written(1), request(1, 2.0), request(1, 3.0))
    assert told(checks.repetitions_have_a_reason(found)) == ["repeated"]
    assert found.duplicates() == 1
    found.given_up = {"w1": 1}  # the first answer came too late for it
    assert told(checks.repetitions_have_a_reason(found)) == []
    found.requests.append(request(1, 4.0))
    assert told(checks.repetitions_have_a_reason(found)) == ["repeated"]
    excused = ledger(written(1), request(1, 1.0, "hang"), request(1, 2.0), request(1, 13.0))
    assert told(checks.repetitions_have_a_reason(excused)) == []


def test_so_does_one_by_a_new_owner_which_a_note_is() -> None:
    repeated = (written(1), request(1, 2.0), request(1, 12.0))
    found = ledger(*repeated, Commit(TOPIC, 0, 1, 0.5))
    found.held["w1"] = [Held(f"{TOPIC}-0", 1.0, None)]
    assert told(checks.repetitions_have_a_reason(found)) == []
    found.commits = [Commit(TOPIC, 0, 1, 0.5, dirty=False)]
    assert told(checks.repetitions_have_a_reason(found)) == ["repeated"]


def test_a_request_without_a_note_before_it_is_seen() -> None:
    found = ledger(written(1), request(1, 2.0), Commit(TOPIC, 0, 1, 2.5))
    found.orderly = {"w1"}
    assert told(checks.nothing_is_sent_without_a_note(found)) == ["without a note"]
    found.commits.insert(0, Commit(TOPIC, 0, 1, 1.0))
    assert told(checks.nothing_is_sent_without_a_note(found)) == []
    found.commits[1] = Commit(TOPIC, 0, 2, 2.02, dirty=False)  # it was answered, and its partition let go, at once
    assert told(checks.nothing_is_sent_without_a_note(found)) == []


def test_letters_that_are_missing_or_too_many_are_seen() -> None:
    found = ledger(written(1, fate="invalid"), written(2))
    found.letters = {(TOPIC, 0, 2): 3.0}
    assert told(checks.letters_are_exactly_the_rejected(found)) == ["no letter", "a letter for a good record"]


@pytest.mark.parametrize("answer", [(), (request(1, 9.0),), (request(1, 2.0, "hang"),)])
def test_a_commit_that_passes_what_is_not_settled_is_seen(answer: tuple[Request, ...]) -> None:
    found = ledger(written(1), *answer, Commit(TOPIC, 0, 2, 5.0))
    assert len(told(checks.commits_pass_only_what_is_settled(found, letters=False))) == 1


def test_a_commit_may_pass_what_a_newer_event_has_replaced() -> None:
    found = ledger(written(1), written(2), Commit(TOPIC, 0, 2, 5.0))
    assert told(checks.commits_pass_only_what_is_settled(found, letters=False)) == []
    found.commits = [Commit(TOPIC, 0, 2, 1.5)]  # the newer event was not there yet
    assert len(told(checks.commits_pass_only_what_is_settled(found, letters=False))) == 1


def test_a_commit_before_its_letter_is_seen() -> None:
    found = ledger(written(1, fate="invalid"), Commit(TOPIC, 0, 2, 5.0))
    found.letters = {(TOPIC, 0, 1): 6.0}
    assert len(told(checks.commits_pass_only_what_is_settled(found, letters=True))) == 1


def test_a_commit_that_goes_back_is_seen() -> None:
    found = ledger(Commit(TOPIC, 0, 5, 1.0), Commit(TOPIC, 0, 4, 2.0))
    assert told(checks.commits_pass_only_what_is_settled(found, letters=False)) == ["a commit went back"]
    found.resets = [1.5]
    assert told(checks.commits_pass_only_what_is_settled(found, letters=False)) == []
