"""What a misled API costs: whole scenes, with what is lost, who waits, and how soon all is well again."""

from itertools import count

import pytest

from tests.core.shop import CONCURRENCY, Api, Arrival, Shop
from tests.core.support import KEY_REFUSED, SERVER_ERROR, TOO_MANY, box, closed, opened
from worker.core.circuit_breaker import TripReason
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome, Result

LIMIT = 20
UNKNOWN_VISIT = Outcome(Result.REJECTED, "unknown_visit_id", "Unknown visit_id")
SUSPENDED = Outcome(Result.REJECTED, "other_error", "Account suspended")
HEALED_AT = 60.0


def traffic(seconds: float, carts: float = 10.0, orders: float = 2.0) -> list[Arrival]:
    """So many carts and orders a second, each with an id of its own."""
    rates = (("cart", carts), ("order", orders))
    return [
        Arrival(number / rate, Entity(kind, str(number)))  # type: ignore[arg-type]
        for kind, rate in rates
        for number in range(int(seconds * rate))
    ]


def reasons(shop: Shop) -> set[TripReason]:
    return {reason for settled in shop.settled for reason in opened(settled)}


def rejecting(kinds: set[str], outcome: Outcome = SUSPENDED) -> Api:
    """Everything of these kinds is rejected until it is healed; one of ten is of an unknown visit anyway."""

    def answer(entity: Entity, now: float) -> Outcome:
        if int(entity.id) % 10 == 7:
            return UNKNOWN_VISIT
        return outcome if entity.kind in kinds and now < HEALED_AT else DELIVERED

    return answer


@pytest.mark.parametrize("kinds", [{"cart", "order"}, {"cart"}, {"order"}], ids=lambda kinds: "-".join(sorted(kinds)))
def test_mass_rejection_costs_no_more_than_the_limit_and_what_is_in_flight_and_heals_by_itself(kinds: set[str]) -> None:
    shop = Shop()
    arrivals = traffic(90.0)
    shop.run(rejecting(kinds), arrivals, 300.0)
    assert reasons(shop) == {TripReason.REJECTIONS}
    for kind in ("cart", "order"):
        lost = shop.rejected(kind)
        assert lost["other_error"] <= (LIMIT + CONCURRENCY if kind in kinds else 0)
        assert lost["unknown_visit_id"] <= sum(
            one.entity.kind == kind and int(one.entity.id) % 10 == 7 for one in arrivals
        )
    deliveries = shop.made.deliveries
    assert (deliveries.pending, deliveries.breakers.closed) == (0, ("cart", "order"))
    delivered = sum(deliveries.counts.delivered.values())
    assert delivered + sum(deliveries.counts.rejected.values()) == len(arrivals)
    said = [change for settled in shop.settled for change in settled.changes if not change.opened]
    assert sum(change.rejected for change in said) >= LIMIT


def test_the_kind_that_is_taken_waits_for_nothing() -> None:
    shop = Shop()
    shop.run(rejecting({"order"}), traffic(90.0), 300.0)
    waits = [wait for entity, waited in shop.waited.items() if entity.kind == "cart" for wait in waited]
    assert max(waits) < 1.0


def test_messages_with_a_number_in_each_are_mass_rejection_too() -> None:
    numbers = count()

    def answer(entity: Entity, now: float) -> Outcome:
        if now >= HEALED_AT:
            return DELIVERED
        return Outcome(Result.REJECTED, "other_error", f"Request {next(numbers)} of {entity} refused")

    shop = Shop()
    shop.run(answer, traffic(90.0), 300.0)
    assert all(shop.rejected(kind)["other_error"] <= LIMIT + CONCURRENCY for kind in ("cart", "order"))
    assert shop.made.deliveries.pending == 0


def test_while_it_lasts_one_probe_a_second_is_all_that_is_asked_of_a_kind() -> None:
    shop = Shop()
    shop.run(rejecting({"cart", "order"}), traffic(90.0), 300.0)
    began = next(at for at, _, outcome in shop.requests if outcome is SUSPENDED)
    assert sum(began + 10 < at < HEALED_AT for at, _, _ in shop.requests) <= 2 * HEALED_AT


def test_old_orders_of_unknown_visits_go_at_full_speed_and_live_carts_wait_for_nobody() -> None:
    shop = Shop()
    backlog = [Arrival(0.0, Entity("order", str(number)), age=86_400.0) for number in range(10_000)]
    carts = [Arrival(number / 10, Entity("cart", str(number))) for number in range(100)]
    shop.run(lambda entity, _: UNKNOWN_VISIT if entity.kind == "order" else DELIVERED, [*backlog, *carts], 20.0)
    assert reasons(shop) == set()
    assert shop.rejected("order") == {"unknown_visit_id": 10_000}
    assert max(wait for waited in shop.waited.values() for wait in waited) < 0.6
    last = max(at for at, entity, _ in shop.requests if entity.kind == "order")
    assert last < 5.0  # 32 at a time, 10 ms each


def test_a_rate_limit_does_not_let_live_carts_wait_for_a_backlog_of_orders_either() -> None:
    shop = Shop()
    shop.made.deliveries.rate.set(200.0, shop.made.now)
    backlog = [Arrival(0.0, Entity("order", str(number)), age=86_400.0) for number in range(10_000)]
    carts = [Arrival(number / 10, Entity("cart", str(number))) for number in range(100)]
    shop.run(lambda entity, _: UNKNOWN_VISIT if entity.kind == "order" else DELIVERED, [*backlog, *carts], 60.0)
    assert max(wait for waited in shop.waited.values() for wait in waited) < 0.6


def test_old_carts_of_unknown_visits_open_nothing_and_young_ones_do() -> None:
    for age, expected in ((901.0, set()), (0.0, {TripReason.REJECTIONS})):
        shop = Shop()
        arrivals = [Arrival(number / 50, Entity("cart", str(number)), age) for number in range(500)]
        shop.run(lambda *_: UNKNOWN_VISIT, arrivals, 12.0)
        assert reasons(shop) == expected
        assert shop.rejected("cart")["unknown_visit_id"] == 500 if age else 5 * LIMIT + CONCURRENCY


def test_three_refusing_carts_among_healthy_traffic_pause_nothing_and_use_up_their_attempts() -> None:
    """As carts whose key PHP drops."""
    shop = Shop(box(max_attempts=5, dead_letters=True))
    large = {Entity("cart", str(number)) for number in (3, 4, 5)}
    shop.run(lambda entity, _: KEY_REFUSED if entity in large else DELIVERED, traffic(120.0), 240.0)
    assert reasons(shop) == set()
    letters = shop.made.deliveries.letters.take(shop.made.now, 10)
    assert {letter.reason for letter in letters} == {"attempts_exhausted"}
    assert len(letters) == 3


def test_a_refused_key_costs_nothing_and_heals_by_itself() -> None:
    shop = Shop()
    arrivals = traffic(90.0)
    shop.run(lambda _, now: KEY_REFUSED if now < HEALED_AT else DELIVERED, arrivals, 300.0)
    assert reasons(shop) == {TripReason.INVALID_API_KEY}
    assert shop.made.deliveries.counts.delivered.total() == len(arrivals)
    assert not shop.made.deliveries.counts.rejected


def test_one_kind_s_endpoint_that_fails_costs_the_other_nothing_and_its_own_events_no_attempt() -> None:
    shop = Shop(box(max_attempts=3, dead_letters=True))
    arrivals = traffic(90.0)
    shop.run(
        lambda entity, now: SERVER_ERROR if entity.kind == "order" and now < HEALED_AT else DELIVERED, arrivals, 300.0
    )
    assert reasons(shop) == {TripReason.OUTAGE}
    assert [reason for settled in shop.settled for reason in closed(settled)] == [TripReason.OUTAGE]
    assert shop.made.deliveries.counts.delivered.total() == len(arrivals)
    waits = [wait for entity, waited in shop.waited.items() if entity.kind == "cart" for wait in waited]
    assert max(waits) < 1.0


def test_429_without_retry_after_to_everything_backs_off_and_loses_nothing() -> None:
    shop = Shop(box(max_attempts=1, dead_letters=True))
    arrivals = traffic(90.0)
    shop.run(lambda _, now: TOO_MANY if now < HEALED_AT else DELIVERED, arrivals, 300.0)
    assert reasons(shop) == set()
    assert sum(at < HEALED_AT for at, _, _ in shop.requests) <= 7 * CONCURRENCY
    assert shop.made.deliveries.counts.delivered.total() == len(arrivals)


def test_a_cart_that_always_fails_does_not_keep_a_breaker_open() -> None:
    """Nor one that changes all the time, and is always the newest."""
    shop = Shop()
    poison = Entity("cart", "5")
    arrivals = [*traffic(90.0), *(Arrival(number / 10, poison) for number in range(3000))]
    shop.run(lambda entity, now: SERVER_ERROR if entity == poison or now < HEALED_AT else DELIVERED, arrivals, 200.0)
    closing = [at for (at, _, _), settled in zip(shop.requests, shop.settled, strict=True) if closed(settled)]
    assert closing
    assert min(closing) < HEALED_AT + 35.0
    assert shop.made.deliveries.pending == 1
