"""The circuit breakers on their own: what opens one, why, what it covers, when it may probe, what closes it."""

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import ANSWERS, KEY_REFUSED, NOT_CONNECTED, SERVER_ERROR, TIMED_OUT, TOO_MANY, A, B, C, D, E
from worker.core.circuit_breaker import KINDS, Change, CircuitBreaker, CircuitBreakers, TripReason
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome, Result
from worker.engine.retry import delays

NOW = 1000.0
RETRYABLE = [SERVER_ERROR, TIMED_OUT, NOT_CONNECTED]
CARTS = [A, B, C, D, E]
ORDERS = [Entity("order", letter) for letter in "abcde"]
UNKNOWN_VISIT = Outcome(Result.REJECTED, "unknown_visit_id", "Unknown visit_id")
OTHER = Outcome(Result.REJECTED, "other_error", "Account suspended")
LIMIT = 20


def make(limit: int = LIMIT) -> CircuitBreakers:
    return CircuitBreakers(delays(lambda: 0.0), limit)


def observe(
    breakers: CircuitBreakers,
    entity: Entity,
    outcome: Outcome,
    now: float = NOW,
    *,
    probe: CircuitBreaker | None = None,
    pending: Collection[Entity] = (*CARTS, *ORDERS),
    own_fault: bool = False,
    answered_since: bool = False,
) -> list[tuple[TripReason, tuple[str, ...], bool]]:
    """What changed: reason, kinds, whether it opened."""
    changes = breakers.observe(
        entity, outcome, now, pending=pending, probe=probe, own_fault=own_fault, answered_since=answered_since
    )
    return [(change.reason, change.kinds, change.opened) for change in changes]


def tripped(outcome: Outcome = SERVER_ERROR, entities: Sequence[Entity] = CARTS, now: float = NOW) -> CircuitBreakers:
    breakers = make()
    for number in range(LIMIT):
        if breakers.closed == KINDS:
            observe(breakers, entities[number % len(entities)], outcome, now)
    assert breakers.closed != KINDS
    return breakers


# Outages, by kind.


@pytest.mark.parametrize("outcome", RETRYABLE)
@pytest.mark.parametrize("entities", [CARTS, ORDERS])
def test_the_fifth_retryable_outcome_in_a_row_of_three_entities_opens_that_of_its_kind(
    outcome: Outcome, entities: list[Entity]
) -> None:
    breakers, kind = make(), entities[0].kind
    for number in (0, 1, 2, 0):
        assert observe(breakers, entities[number], outcome) == []
    assert observe(breakers, entities[1], outcome) == [(TripReason.OUTAGE, (kind,), True)]
    assert breakers.closed == tuple(other for other in KINDS if other != kind)
    assert breakers.paused() == [(kind, TripReason.OUTAGE)]


def test_failures_of_the_other_kind_open_nothing() -> None:
    breakers = make()
    for _ in range(2):
        for entity in (A, ORDERS[0], B, ORDERS[1]):
            assert observe(breakers, entity, SERVER_ERROR) == []
    assert observe(breakers, C, SERVER_ERROR) == [(TripReason.OUTAGE, ("cart",), True)]


def test_answers_of_the_other_kind_interrupt_no_row_and_close_nothing() -> None:
    breakers = make()
    for entity in CARTS:
        observe(breakers, entity, SERVER_ERROR)
        observe(breakers, ORDERS[0], DELIVERED)
    assert breakers.paused() == [("cart", TripReason.OUTAGE)]
    assert observe(breakers, ORDERS[0], DELIVERED) == []
    assert breakers.closed == ("order",)


def test_two_entities_never_open_it_however_often_they_fail() -> None:
    breakers = make()
    for _ in range(100):
        assert observe(breakers, A, SERVER_ERROR) == observe(breakers, B, SERVER_ERROR) == []
    assert observe(breakers, C, SERVER_ERROR) == [(TripReason.OUTAGE, ("cart",), True)]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_the_kind_in_between_starts_the_row_anew(answer: Outcome) -> None:
    breakers = make()
    for entity in (A, B, C, D):
        observe(breakers, entity, SERVER_ERROR)
    assert observe(breakers, E, answer) == []
    for entity in (A, B, C, D):
        assert observe(breakers, entity, SERVER_ERROR) == []
    assert observe(breakers, E, SERVER_ERROR) == [(TripReason.OUTAGE, ("cart",), True)]


def test_a_429_counts_for_no_breaker_and_interrupts_no_row() -> None:
    breakers = make()
    for entity in CARTS * 20:
        assert observe(breakers, entity, TOO_MANY) == []
    for entity in (A, B, C, D):
        observe(breakers, entity, SERVER_ERROR)
        observe(breakers, entity, TOO_MANY)
    assert observe(breakers, E, SERVER_ERROR) == [(TripReason.OUTAGE, ("cart",), True)]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("as_probe", [True, False])
def test_an_answer_of_the_kind_closes_an_outage_also_one_that_was_asked_for_before(
    answer: Outcome, *, as_probe: bool
) -> None:
    breakers = tripped()
    probe = breakers.of["cart"] if as_probe else None
    (change,) = breakers.observe(D, answer, NOW + 42.5, pending=CARTS, probe=probe)
    assert change == Change(TripReason.OUTAGE, ("cart",), opened=False, after=42.5)
    assert breakers.closed == KINDS


# The key.


def test_a_key_refused_for_three_entities_opens_one_breaker_for_both_kinds() -> None:
    breakers = make()
    for entity in (A, A, A, B, B):
        assert observe(breakers, entity, KEY_REFUSED) == []
    assert observe(breakers, ORDERS[0], KEY_REFUSED) == [(TripReason.INVALID_API_KEY, KINDS, True)]
    assert (breakers.closed, breakers.open()) == ((), [breakers.key])
    assert breakers.paused() == [(kind, TripReason.INVALID_API_KEY) for kind in KINDS]


@pytest.mark.parametrize("pending", [[A], [A, B]])
def test_with_fewer_pending_each_of_them_must_be_refused_three_times(pending: list[Entity]) -> None:
    breakers = make()
    for _ in range(2):
        for entity in pending:
            assert observe(breakers, entity, KEY_REFUSED, pending=pending) == []
    for entity in pending[:-1]:
        assert observe(breakers, entity, KEY_REFUSED, pending=pending) == []
    assert observe(breakers, pending[-1], KEY_REFUSED, pending=pending) == [(TripReason.INVALID_API_KEY, KINDS, True)]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_either_kind_forgets_the_refusals_before_it(answer: Outcome) -> None:
    breakers = make()
    for entity in (A, B):
        observe(breakers, entity, KEY_REFUSED)
    observe(breakers, ORDERS[0], answer)
    assert observe(breakers, C, KEY_REFUSED) == observe(breakers, D, KEY_REFUSED) == []
    assert observe(breakers, A, KEY_REFUSED) == [(TripReason.INVALID_API_KEY, KINDS, True)]


def test_a_refusal_of_a_request_that_was_sent_before_an_answer_counts_for_nothing() -> None:
    breakers = make()
    for entity in (A, B, C, D):
        assert observe(breakers, entity, KEY_REFUSED, answered_since=True) == []


def test_three_refusing_carts_among_healthy_traffic_open_nothing() -> None:
    breakers = make()
    for _ in range(100):
        for entity in (A, B, C):
            assert observe(breakers, entity, KEY_REFUSED) == []
            assert observe(breakers, D, DELIVERED) == []


def test_an_outage_may_turn_into_a_refused_key_and_not_back() -> None:
    breakers = tripped()
    for entity in (A, B):
        assert observe(breakers, entity, KEY_REFUSED, NOW + 1, probe=breakers.of["cart"]) == []
    assert observe(breakers, C, KEY_REFUSED) == [(TripReason.INVALID_API_KEY, KINDS, True)]
    for entity in CARTS * 3:
        assert observe(breakers, entity, SERVER_ERROR, NOW + 3, probe=breakers.key) == []
    assert breakers.paused() == [(kind, TripReason.INVALID_API_KEY) for kind in KINDS]
    assert observe(breakers, A, DELIVERED) == [(TripReason.INVALID_API_KEY, KINDS, False)]
    assert breakers.closed == KINDS


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("entity", [A, ORDERS[0]])
def test_an_answer_of_either_kind_closes_that_of_the_key(answer: Outcome, entity: Entity) -> None:
    breakers = tripped(KEY_REFUSED)
    assert observe(breakers, entity, answer) == [(TripReason.INVALID_API_KEY, KINDS, False)]


def test_a_refused_key_closes_nothing() -> None:
    for outcome in (SERVER_ERROR, KEY_REFUSED, OTHER):
        breakers = tripped(outcome)
        before = breakers.closed
        observe(breakers, A, KEY_REFUSED, probe=breakers.open()[0])
        assert breakers.closed == before


# Mass rejection.


def reject(
    breakers: CircuitBreakers, number: int, entities: Sequence[Entity] = CARTS, outcome: Outcome = OTHER
) -> list[tuple[TripReason, tuple[str, ...], bool]]:
    changes = []
    for at in range(number):
        changes += observe(breakers, entities[at % len(entities)], outcome)
    return changes


def test_so_many_rejections_in_a_row_stop_both_kinds_where_nothing_at_all_was_delivered() -> None:
    breakers = make()
    assert reject(breakers, LIMIT - 1) == []
    assert reject(breakers, 1) == [(TripReason.REJECTIONS, KINDS, True)]


def test_they_stop_their_kind_alone_where_the_other_is_delivered() -> None:
    breakers = make()
    reject(breakers, 5, ORDERS)
    observe(breakers, A, DELIVERED)
    assert reject(breakers, LIMIT - 5, ORDERS) == [(TripReason.REJECTIONS, ("order",), True)]
    assert breakers.closed == ("cart",)


def test_a_delivery_of_the_kind_starts_the_row_anew() -> None:
    breakers = make()
    reject(breakers, LIMIT - 1)
    observe(breakers, A, DELIVERED)
    assert reject(breakers, LIMIT - 1) == []


@pytest.mark.parametrize("between", [SERVER_ERROR, TOO_MANY, KEY_REFUSED])
def test_what_is_no_delivery_interrupts_no_row(between: Outcome) -> None:
    breakers = make()
    reject(breakers, LIMIT - 1)
    observe(breakers, A, between)
    assert reject(breakers, 1) == [(TripReason.REJECTIONS, KINDS, True)]


def test_messages_with_a_number_in_each_count_together() -> None:
    breakers = make()
    for number in range(LIMIT - 1):
        observe(breakers, CARTS[number % 5], Outcome(Result.REJECTED, "other_error", f"Error {number}"))
    assert observe(breakers, A, Outcome(Result.REJECTED, "other_error", "Error 99")) != []


def test_four_entities_never_open_it() -> None:
    breakers = make()
    assert reject(breakers, 10 * LIMIT, CARTS[:4]) == []
    assert reject(breakers, 1, [E]) == [(TripReason.REJECTIONS, KINDS, True)]


def test_a_limit_of_0_switches_it_off() -> None:
    breakers = make(limit=0)
    assert reject(breakers, 1000) == []


def test_a_rejection_without_a_request_counts_for_nothing() -> None:
    breakers = make()
    assert reject(breakers, 1000, outcome=Outcome(Result.REJECTED, "payload_too_large", asked=False)) == []


def test_a_row_of_unknown_visits_alone_opens_it_at_five_times_the_limit() -> None:
    breakers = make()
    assert reject(breakers, 5 * LIMIT - 1, outcome=UNKNOWN_VISIT) == []
    assert reject(breakers, 1, outcome=UNKNOWN_VISIT) == [(TripReason.REJECTIONS, KINDS, True)]


def test_unknown_visits_among_others_count_as_those_do() -> None:
    breakers = make()
    reject(breakers, LIMIT - 1, outcome=UNKNOWN_VISIT)
    assert reject(breakers, 1) == [(TripReason.REJECTIONS, KINDS, True)]


def test_a_rejection_that_belongs_to_its_event_neither_counts_nor_interrupts() -> None:
    breakers = make()
    for number in range(10 * LIMIT):
        assert observe(breakers, ORDERS[number % 5], UNKNOWN_VISIT, own_fault=True) == []
    reject(breakers, LIMIT - 1)
    observe(breakers, A, UNKNOWN_VISIT, own_fault=True)
    assert reject(breakers, 1) == [(TripReason.REJECTIONS, KINDS, True)]


def test_only_a_delivery_closes_it() -> None:
    breakers = tripped(OTHER)
    for outcome in (OTHER, UNKNOWN_VISIT, SERVER_ERROR, KEY_REFUSED, TOO_MANY):
        assert observe(breakers, A, outcome, probe=breakers.of["cart"]) == []
    assert observe(breakers, A, DELIVERED, probe=breakers.of["cart"]) == [
        (TripReason.REJECTIONS, ("cart",), False),
        (TripReason.REJECTIONS, ("order",), False),
    ]


def test_the_other_kind_stays_stopped_where_it_was_rejected_itself_meanwhile() -> None:
    breakers = tripped(OTHER)
    observe(breakers, ORDERS[0], OTHER, probe=breakers.of["order"])
    assert observe(breakers, A, DELIVERED) == [(TripReason.REJECTIONS, ("cart",), False)]
    assert breakers.closed == ("cart",)
    assert observe(breakers, ORDERS[0], DELIVERED) == [(TripReason.REJECTIONS, ("order",), False)]


def test_a_delivery_of_the_kind_that_was_stopped_with_the_other_closes_its_own_alone() -> None:
    breakers = tripped(OTHER)
    assert observe(breakers, ORDERS[0], DELIVERED) == [(TripReason.REJECTIONS, ("order",), False)]
    assert breakers.closed == ("order",)


def test_ten_probes_in_a_row_whose_events_are_at_fault_close_it() -> None:
    breakers = tripped(OTHER, ORDERS)
    breaker = breakers.of["order"]
    for _ in range(9):
        assert observe(breakers, A, UNKNOWN_VISIT, probe=breaker, own_fault=True) == []
    observe(breakers, ORDERS[0], OTHER, probe=breaker)
    for _ in range(9):
        assert observe(breakers, ORDERS[0], UNKNOWN_VISIT, probe=breaker, own_fault=True) == []
    assert (TripReason.REJECTIONS, ("order",), False) in observe(
        breakers, ORDERS[0], UNKNOWN_VISIT, probe=breaker, own_fault=True
    )


def test_a_probe_s_rejection_is_spared_while_it_is_open_and_only_then() -> None:
    breakers = tripped(OTHER)
    assert breakers.spares("cart", OTHER, own_fault=False)
    assert not breakers.spares("cart", UNKNOWN_VISIT, own_fault=True)
    assert not breakers.spares("cart", SERVER_ERROR, own_fault=False)
    assert not tripped(SERVER_ERROR).spares("cart", OTHER, own_fault=False)


def test_closing_says_how_many_were_rejected_before_for_what_and_since_when() -> None:
    breakers = make()
    for number in range(LIMIT):
        outcome = OTHER if number else Outcome(Result.REJECTED, "missing_required_parameter", "Missing")
        breakers.observe(CARTS[number % 5], outcome, NOW + number, pending=CARTS)
    breakers.observe(A, OTHER, NOW + 30, pending=CARTS)  # was in flight
    breakers.observe(A, OTHER, NOW + 31, pending=CARTS, probe=breakers.of["cart"])
    change, _ = breakers.observe(A, DELIVERED, NOW + 50, pending=CARTS)
    assert (change.rejected, change.began, change.after) == (LIMIT + 1, NOW, 31.0)
    assert change.reasons == ("missing_required_parameter", "other_error")


# Half-open.


def test_a_closed_breaker_probes_nothing() -> None:
    assert not make().of["cart"].may_probe(NOW + 1e6)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_probes_are_one_to_thirty_seconds_apart_and_further_each_time(jitter: float) -> None:
    breaker = CircuitBreaker(("cart",), delays(lambda: jitter))
    breaker.open(TripReason.OUTAGE, NOW)
    now, intervals = NOW, []
    for _ in range(10):
        assert not breaker.may_probe(breaker.next_probe - 0.001)
        assert breaker.may_probe(breaker.next_probe)
        intervals.append(breaker.next_probe - now)
        now = breaker.next_probe
        breaker.failed(now, untried=False)
    assert intervals == pytest.approx([min(s * (1 + jitter / 4), 30.0) for s in (1, 2, 4, 8, 16, 30, 30, 30, 30, 30)])


@pytest.mark.parametrize(
    ("reason", "untried"), [(TripReason.OUTAGE, True), (TripReason.REJECTIONS, False), (TripReason.REJECTIONS, True)]
)
def test_probes_are_a_second_apart_while_somebody_was_not_tried_and_always_for_rejections(
    reason: TripReason, *, untried: bool
) -> None:
    breaker = CircuitBreaker(("cart",), delays(lambda: 0.0))
    breaker.open(reason, NOW)
    for number in range(10):
        breaker.failed(NOW + number, untried=untried)
        assert breaker.next_probe == NOW + number + 1.0


def test_somebody_new_is_probed_within_a_second_of_the_last_probe() -> None:
    breaker = CircuitBreaker(("cart",), delays(lambda: 0.0))
    breaker.open(TripReason.OUTAGE, NOW)
    for _ in range(6):
        breaker.failed(NOW, untried=False)
    assert breaker.next_probe == NOW + 30.0
    breaker.hurry(NOW + 0.5)
    assert breaker.next_probe == NOW + 1.0
    breaker.hurry(NOW + 20.0)
    assert breaker.next_probe == NOW + 1.0


def test_there_is_one_probe_at_a_time_until_it_comes_back() -> None:
    breakers = tripped()
    breaker = breakers.of["cart"]
    breaker.probe(A)
    assert not breaker.may_probe(NOW + 1e6)
    observe(breakers, B, SERVER_ERROR, NOW + 10)
    assert not breaker.may_probe(NOW + 1e6)
    observe(breakers, A, SERVER_ERROR, NOW + 10, probe=breaker)
    assert breaker.may_probe(NOW + 12)


def test_probing_starts_over_at_one_second_when_it_opens_again() -> None:
    breakers = tripped()
    for seconds in range(1, 8):
        breakers.of["cart"].failed(NOW + seconds, untried=False)
    observe(breakers, A, DELIVERED, NOW + 10)
    for entity in CARTS:
        observe(breakers, entity, SERVER_ERROR, NOW + 20)
    assert breakers.of["cart"].next_probe == NOW + 21.0


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C, *ORDERS[:3]]), st.sampled_from([*RETRYABLE, TOO_MANY, *ANSWERS])),
        max_size=60,
    )
)
def test_a_kind_is_stopped_by_an_outage_exactly_when_the_rule_says_so(history: list[tuple[Entity, Outcome]]) -> None:
    """The rule, read off the history afresh at each step."""
    breakers = make(limit=0)
    for number, (entity, outcome) in enumerate(history):
        observe(breakers, entity, outcome)
        for kind in KINDS:
            own = [(who, what) for who, what in history[: number + 1] if who.kind == kind and what is not TOO_MANY]
            answered = max((at for at, (_, what) in enumerate(own) if what in ANSWERS), default=-1)
            row = [who for who, _ in own[answered + 1 :]]
            assert (kind not in breakers.closed) == (len(row) >= 5 and len(set(row)) >= 3)
