"""The gate on its own: what shuts it, why, when it may probe, what opens it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import ANSWERS, KEY_REFUSED, NOT_CONNECTED, SERVER_ERROR, TIMED_OUT, TOO_MANY, A, B, C, D, E
from worker.core.event import Entity
from worker.core.gate import Change, Gate, Shut
from worker.core.outcome import Outcome
from worker.engine.retry import delays

NOW = 1000.0
RETRYABLE = [SERVER_ERROR, TIMED_OUT, NOT_CONNECTED, TOO_MANY]


def make() -> Gate:
    return Gate(delays(lambda: 0.0))


def observe(
    gate: Gate, entity: Entity, outcome: Outcome, now: float = NOW, *, probe: bool = False, others: bool = True
) -> Change | None:
    return gate.observe(entity, outcome, now, probe=probe, others_wait=others)


def shut(outcome: Outcome = SERVER_ERROR, now: float = NOW) -> Gate:
    gate = make()
    for entity in (A, B, C, D, E):
        if gate.shut is None:
            observe(gate, entity, outcome, now)
    assert gate.shut is not None
    return gate


@pytest.mark.parametrize("outcome", RETRYABLE)
def test_the_fifth_retryable_outcome_in_a_row_of_three_entities_shuts_it(outcome: Outcome) -> None:
    gate = make()
    for entity in (A, B, C, A):
        assert observe(gate, entity, outcome) is None
        assert gate.shut is None
    assert observe(gate, B, outcome) == Change(Shut.OUTAGE)
    assert gate.shut is Shut.OUTAGE


def test_all_kinds_of_retryable_outcomes_count_together() -> None:
    gate = make()
    for entity, outcome in zip((A, B, C, A), RETRYABLE, strict=True):
        assert observe(gate, entity, outcome) is None
    assert observe(gate, A, SERVER_ERROR) == Change(Shut.OUTAGE)


def test_a_refused_key_counts_as_one_of_the_five() -> None:
    gate = make()
    for entity, outcome in ((A, KEY_REFUSED), (A, SERVER_ERROR), (B, SERVER_ERROR), (C, SERVER_ERROR)):
        assert observe(gate, entity, outcome) is None
    assert observe(gate, A, SERVER_ERROR) == Change(Shut.OUTAGE)


def test_two_entities_never_shut_it_however_often_they_fail() -> None:
    gate = make()
    for _ in range(100):
        assert observe(gate, A, SERVER_ERROR) is None
        assert observe(gate, B, SERVER_ERROR) is None
    assert observe(gate, C, SERVER_ERROR) == Change(Shut.OUTAGE)


def test_one_poisonous_entity_never_shuts_it_even_if_nothing_else_waits() -> None:
    gate = make()
    for _ in range(100):
        assert observe(gate, A, SERVER_ERROR, others=False) is None


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_in_between_starts_the_count_anew(answer: Outcome) -> None:
    gate = make()
    for entity in (A, B, C, D):
        observe(gate, entity, SERVER_ERROR)
    assert observe(gate, E, answer) is None
    for entity in (A, B, C, D):
        assert observe(gate, entity, SERVER_ERROR) is None
    assert observe(gate, E, SERVER_ERROR) == Change(Shut.OUTAGE)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_in_between_forgets_the_entities_too(answer: Outcome) -> None:
    gate = make()
    observe(gate, C, SERVER_ERROR)
    observe(gate, D, answer)
    for _ in range(10):
        assert observe(gate, A, SERVER_ERROR) is None
        assert observe(gate, B, SERVER_ERROR) is None


def test_a_key_refused_for_two_entities_shuts_it() -> None:
    gate = make()
    assert observe(gate, A, KEY_REFUSED) is None
    assert observe(gate, A, KEY_REFUSED) is None
    assert observe(gate, B, KEY_REFUSED) == Change(Shut.INVALID_API_KEY)
    assert gate.shut is Shut.INVALID_API_KEY


def test_a_key_refused_for_the_only_entity_that_waits_shuts_it() -> None:
    gate = make()
    assert observe(gate, A, KEY_REFUSED, others=False) == Change(Shut.INVALID_API_KEY)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_forgets_the_refusals_before_it(answer: Outcome) -> None:
    gate = make()
    observe(gate, A, KEY_REFUSED)
    observe(gate, C, answer)
    assert observe(gate, B, KEY_REFUSED) is None
    assert observe(gate, C, SERVER_ERROR, others=True) is None
    assert observe(gate, A, KEY_REFUSED) == Change(Shut.INVALID_API_KEY)


def test_an_outage_that_turns_into_a_refused_key_says_so_once() -> None:
    gate = shut()
    assert observe(gate, A, KEY_REFUSED, NOW + 1, probe=True) == Change(Shut.INVALID_API_KEY)
    assert gate.shut is Shut.INVALID_API_KEY
    assert observe(gate, B, KEY_REFUSED, NOW + 3, probe=True) is None


def test_a_gate_that_is_shut_already_does_not_shut_again() -> None:
    gate = shut()
    for _ in range(20):
        assert observe(gate, A, SERVER_ERROR, NOW + 5) is None
    assert gate.shut is Shut.OUTAGE


@pytest.mark.parametrize("outcome", [SERVER_ERROR, KEY_REFUSED])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("probe", [True, False])
def test_any_delivered_or_rejected_answer_opens_it_also_one_that_was_asked_for_before(
    answer: Outcome, outcome: Outcome, *, probe: bool
) -> None:
    gate = shut(outcome)
    assert observe(gate, D, answer, NOW + 42.5, probe=probe) == Change(None, after=42.5)
    assert gate.shut is None


def test_an_answer_at_an_open_gate_changes_nothing() -> None:
    assert observe(make(), A, ANSWERS[0]) is None


def test_after_opening_it_takes_all_five_failures_again() -> None:
    gate = shut()
    observe(gate, A, ANSWERS[0], NOW + 1, probe=True)
    for entity in (A, B, C, D):
        assert observe(gate, entity, SERVER_ERROR, NOW + 2) is None
    assert observe(gate, E, SERVER_ERROR, NOW + 3) == Change(Shut.OUTAGE)


def test_an_open_gate_probes_nothing() -> None:
    assert not make().may_probe(NOW + 1e6)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_probes_are_one_to_thirty_seconds_apart_and_further_each_time(jitter: float) -> None:
    gate = Gate(delays(lambda: jitter))
    for entity in (A, B, C, D, E):
        observe(gate, entity, SERVER_ERROR)
    now, intervals = NOW, []
    for _ in range(10):
        assert not gate.may_probe(gate.next_probe - 0.001)
        assert gate.may_probe(gate.next_probe)
        intervals.append(gate.next_probe - now)
        now = gate.next_probe
        gate.probing = True
        observe(gate, A, SERVER_ERROR, now, probe=True)
    assert intervals == pytest.approx([min(s * (1 + jitter / 4), 30.0) for s in (1, 2, 4, 8, 16, 30, 30, 30, 30, 30)])
    assert all(1.0 <= interval <= 30.0 + 1e-6 for interval in intervals)


def test_there_is_one_probe_at_a_time_until_it_comes_back() -> None:
    gate = shut()
    gate.probing = True
    assert not gate.may_probe(NOW + 1e6)
    observe(gate, B, SERVER_ERROR, NOW + 10, probe=False)
    assert not gate.may_probe(NOW + 1e6)
    observe(gate, A, SERVER_ERROR, NOW + 10, probe=True)
    assert gate.may_probe(NOW + 12)


def test_a_late_failure_of_a_request_from_before_does_not_put_the_probe_off() -> None:
    gate = shut()
    planned = gate.next_probe
    for seconds in (0.1, 0.5, 0.9):
        observe(gate, D, TIMED_OUT, NOW + seconds)
    assert gate.next_probe == planned == NOW + 1.0


def test_probing_starts_over_at_one_second_when_it_shuts_again() -> None:
    gate = shut()
    for seconds in range(1, 8):
        observe(gate, A, SERVER_ERROR, NOW + seconds, probe=True)
    observe(gate, A, ANSWERS[0], NOW + 10, probe=True)
    for entity in (A, B, C, D, E):
        observe(gate, entity, SERVER_ERROR, NOW + 20)
    assert gate.next_probe == NOW + 21.0


def test_with_nothing_to_probe_with_it_looks_again_later() -> None:
    gate = shut()
    gate.put_off(NOW + 1)
    assert not gate.may_probe(NOW + 1.5)
    assert gate.may_probe(NOW + 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, C, D]),
            st.sampled_from([*RETRYABLE, KEY_REFUSED, *ANSWERS]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_it_is_shut_exactly_when_the_rule_says_so(history: list[tuple[Entity, Outcome, bool]]) -> None:
    """The rule, read off the history afresh at each step."""
    gate, expected = make(), False
    failures: list[tuple[Entity, Outcome]] = []
    for entity, outcome, others in history:
        observe(gate, entity, outcome, others=others)
        if outcome in ANSWERS:
            failures, expected = [], False
        else:
            failures.append((entity, outcome))
            refused = {who for who, what in failures if what is KEY_REFUSED}
            outage = len(failures) >= 5 and len({who for who, _ in failures}) >= 3
            refusal = len(refused) >= 2 or (bool(refused) and not others)
            expected = expected or outage or refusal
        assert (gate.shut is not None) == expected
