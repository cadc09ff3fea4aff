"""The soak's judgement: it is content with a steady run, and with none of those in which something was planted."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.soak.judge import BOUNDS, Fault, Plan, Sample, growth, judged, verdict

PLAN = Plan(seconds=1800, every=5, recovery=27, warm_up=600)
FAULTS = [Fault("api-down", at, at + 13) for at in range(45, 1800, 60)]


def steady(seed: int = 1) -> list[Sample]:
    """Half an hour as it should be: noise, peaks in the faults, memory that rises while it warms up."""
    draw = random.Random(seed)
    samples = []
    for number in range(1, 361):
        at = number * 5.0
        disturbed = any(fault.began <= at <= fault.ended + 20 for fault in FAULTS)
        samples.append(
            Sample(
                at,
                resident=95 + min(at, 400) / 40 + draw.uniform(-1, 1) + (15 if disturbed else 0),
                files=50 + draw.randrange(3),
                threads=40,
                lag=draw.randrange(60) + (900 if disturbed else 0),
                fresh_p50=0.5 + draw.uniform(0, 0.02) + (4 if disturbed else 0),
                fresh_p99=0.6 + draw.uniform(0, 0.2) + (9 if disturbed else 0),
            )
        )
    return samples


def planted(change: Callable[[Sample], Sample]) -> list[str]:
    return verdict([change(sample) for sample in steady()], FAULTS, PLAN)


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_run_passes(seed: int) -> None:
    assert verdict(steady(seed), FAULTS, PLAN) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: replace(s, resident=s.resident + s.at / 3600 * 20), "memory grew"),
        (lambda s: replace(s, files=s.files + int(s.at // 200)), "open files grew"),
        (lambda s: replace(s, threads=s.threads + int(s.at // 400)), "threads grew"),
        (lambda s: replace(s, fresh_p50=(s.fresh_p50 or 0) + s.at / 1800 * 0.3), "freshness, median grew"),
        (lambda s: replace(s, fresh_p99=(s.fresh_p99 or 0) + s.at / 1800 * 1.5), "freshness, p99 grew"),
        (lambda s: replace(s, lag=s.lag + s.at / 5), "lag grew"),
    ],
    ids=["memory", "files", "threads", "median", "p99", "lag"],
)
def test_what_grows_is_found(change: Callable[[Sample], Sample], word: str) -> None:
    wrong = planted(change)
    assert len(wrong) == 1
    assert word in wrong[0]


def test_a_leak_of_one_page_an_event_is_found_within_the_hour() -> None:
    """At fifty events a second, 100 bytes each make 18 MB an hour."""
    assert planted(lambda s: replace(s, resident=s.resident + s.at * 50 * 100 / 1e6))


def test_a_step_within_the_warm_up_is_no_slope() -> None:
    assert planted(lambda s: replace(s, resident=s.resident + (20 if s.at > 300 else 0))) == []


def test_samples_that_are_missing_are_found() -> None:
    assert "samples of 360" in verdict(steady()[::2], FAULTS, PLAN)[0]
    without = [sample for sample in steady() if not 900 < sample.at < 960]
    assert "no sample for 60 s" in verdict(without, FAULTS, PLAN)[0]
    assert "no sample for" in verdict([s for s in steady() if s.at < 1760], FAULTS, PLAN)[0]


def test_a_run_of_which_nothing_can_be_judged_fails() -> None:
    assert "too few to judge by" in verdict(steady(), [Fault("all the time", 0, 1800)], PLAN)[-1]
    blind = [replace(sample, fresh_p50=None) for sample in steady()]
    assert verdict(blind, FAULTS, PLAN) == ["missing: too few samples have a value for freshness, median"]


def test_faults_and_their_recovery_are_not_judged() -> None:
    calm = judged(steady(), FAULTS, PLAN)
    assert max(sample.lag for sample in calm) < 100
    assert min(sample.at for sample in calm) >= PLAN.warm_up


def test_growth_is_told_in_its_unit() -> None:
    line = [Sample(at, 100 + at / 100, 50, 40, 0) for at in range(0, 1000, 10)]
    assert growth(line, BOUNDS[0]) == pytest.approx(9.9)
