"""The token bucket: bursts of one second's worth, never more than its rate, and none at all at 0."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.token_bucket import TokenBucket

NOW = 1000.0


def take_all(rate: TokenBucket, now: float, most: int = 10_000) -> int:
    taken = 0
    while taken < most and rate.take(now):
        taken += 1
    return taken


def rested(per_second: float | None, now: float = NOW) -> TokenBucket:
    """A bucket that has had all the time to fill."""
    rate = TokenBucket()
    rate.set(per_second, now - 1000.0)
    return rate


def test_without_a_limit_everything_may_start() -> None:
    rate = rested(None)
    assert take_all(rate, NOW) == 10_000
    assert rate.next_at(NOW) == NOW


def test_at_zero_nothing_may_start_ever() -> None:
    rate = rested(0.0)
    assert not rate.take(NOW)
    assert rate.next_at(NOW) == float("inf")
    assert not rate.take(NOW + 1e9)


@pytest.mark.parametrize("before", [0.5, 1.0, 200.0])
def test_when_the_last_partition_goes_nothing_may_start_from_that_moment(before: float) -> None:
    rate = rested(before)
    rate.set(0.0, NOW)
    assert not rate.take(NOW)
    assert rate.next_at(NOW) == float("inf")
    assert not rate.take(NOW + 1e6)


@pytest.mark.parametrize(("per_second", "burst"), [(0.1, 1), (1.0, 1), (2.0, 2), (2.5, 2), (200.0, 200)])
def test_a_burst_is_one_seconds_worth_and_one_request_at_least(per_second: float, burst: int) -> None:
    assert take_all(rested(per_second), NOW) == burst


@pytest.mark.parametrize("per_second", [0.1, 1.0, 3.0, 50.0, 200.0])
def test_what_was_used_up_comes_back_at_the_rate(per_second: float) -> None:
    rate = rested(per_second)
    take_all(rate, NOW)
    started = sum(take_all(rate, NOW + step * 0.05) for step in range(1, 20 * 60 + 1))
    assert started == pytest.approx(per_second * 60, abs=1)


@pytest.mark.parametrize("per_second", [0.1, 1.0, 3.0, 7.0, 200.0, 12_345.6])
def test_the_next_token_is_there_when_it_was_promised(per_second: float) -> None:
    rate = rested(per_second)
    now = NOW
    take_all(rate, now, 100_000)
    for _ in range(1000):
        wake_at = rate.next_at(now)
        assert now < wake_at <= now + 1.0 / per_second + 1e-6
        now = wake_at
        assert rate.take(now)


def test_a_token_that_is_there_is_there_now() -> None:
    assert rested(5.0).next_at(NOW) == NOW


def test_a_smaller_share_shrinks_what_was_saved_up() -> None:
    rate = rested(200.0)
    rate.set(50.0, NOW)
    assert take_all(rate, NOW) == 50


def test_a_larger_share_does_not_give_what_was_not_saved_up() -> None:
    rate = rested(50.0)
    rate.set(200.0, NOW)
    assert take_all(rate, NOW) == 50
    assert take_all(rate, NOW + 0.5) == 100


def test_a_change_takes_effect_from_its_moment_on_and_not_before() -> None:
    rate = rested(10.0)
    take_all(rate, NOW)
    rate.set(100.0, NOW + 0.5)
    assert take_all(rate, NOW + 0.5) == 5


def test_setting_the_same_rate_again_changes_nothing() -> None:
    rate = rested(10.0)
    take_all(rate, NOW)
    for step in range(100):
        rate.set(10.0, NOW + step / 1000)
    assert take_all(rate, NOW + 0.1) == 1


def test_the_first_request_after_an_assignment_does_not_wait() -> None:
    rate = rested(0.0)
    rate.set(0.5, NOW)
    assert rate.take(NOW)
    assert not rate.take(NOW)


def test_after_a_time_without_a_limit_there_is_no_more_than_a_burst() -> None:
    rate = rested(10.0)
    rate.set(None, NOW)
    assert take_all(rate, NOW + 5) == 10_000
    rate.set(10.0, NOW + 10)
    assert take_all(rate, NOW + 10) <= 10
    assert take_all(rate, NOW + 1000) == 10


def test_a_change_that_was_timed_a_little_earlier_gives_no_time_twice() -> None:
    """Whoever changes the rate read the clock before it got the lock."""
    rate = rested(100.0)
    take_all(rate, NOW)
    assert take_all(rate, NOW + 0.5) == 50
    rate.set(99.0, NOW + 0.1)
    assert take_all(rate, NOW + 0.5) == 0


@given(
    per_second=st.sampled_from([0.1, 0.5, 1.0, 3.0, 10.0, 200.0]) | st.floats(0.01, 1000.0),
    steps=st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 300)), max_size=60),
    waiters=st.integers(0, 5),
)
def test_in_no_window_more_starts_than_a_burst_and_the_rate_allow(
    per_second: float, steps: list[tuple[float, int]], waiters: int
) -> None:
    rate, now = TokenBucket(per_second), NOW
    starts: list[tuple[float, int]] = [(now, 0)]
    for wait, most in steps:
        now += wait
        for _ in range(waiters):
            rate.next_at(now)
        starts.append((now, take_all(rate, now, most)))
    burst = max(1.0, per_second)
    for first in range(len(starts)):
        total = 0
        for time, count in starts[first:]:
            total += count
            assert total <= burst + per_second * (time - starts[first][0]) + 1e-3


@given(
    changes=st.lists(
        st.tuples(st.floats(0.0, 2.0), st.sampled_from([0.5, 1.0, 5.0, 20.0, 100.0]), st.integers(0, 150)),
        min_size=1,
        max_size=40,
    )
)
def test_however_the_share_changes_the_fastest_rate_bounds_every_window(
    changes: list[tuple[float, float, int]],
) -> None:
    rate, now = TokenBucket(changes[0][1]), NOW
    starts = [(now, 0)]
    for wait, per_second, most in changes:
        now += wait
        rate.set(per_second, now)
        starts.append((now, take_all(rate, now, most)))
    fastest = max(per_second for _, per_second, _ in changes)
    for first in range(len(starts)):
        total = sum(count for _, count in starts[first:])
        assert total <= max(1.0, fastest) + fastest * (now - starts[first][0]) + 1e-3
    assert all(later >= earlier for (earlier, _), (later, _) in pairwise(starts))


@pytest.mark.parametrize("missing", [1e-6, 1e-7, 1e-8, 2e-9])
def test_who_waits_for_the_hair_of_a_token_is_not_told_to_come_now(missing: float) -> None:
    now = 10_000_000.0
    rate = TokenBucket(200.0, _tokens=1.0 - missing, _at=now)
    while not rate.take(now):
        assert rate.next_at(now) > now
        now = rate.next_at(now)
    assert now < 10_000_000.1


@given(st.floats(0.0, 1e-8))
def test_a_token_that_is_not_there_is_not_there_when_one_asks_when(short: float) -> None:
    """Else a sender that was told no would be told to try again at once, and at once."""
    now = (1.0 - short) / 2.0
    rate = TokenBucket(per_second=2.0)
    assert rate.take(now) or rate.next_at(now) > now
