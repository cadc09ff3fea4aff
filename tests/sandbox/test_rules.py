from random import Random
from statistics import quantiles
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.api import FaultsError, Rule, parse_faults
from worker.sandbox.api.schedule import Schedule


def rule(**fields: Any) -> Rule:
    return parse_faults([fields])[0]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"status": 99}, "[0].status"),
        ({"status": "503"}, "[0].status"),
        ({"status": True}, "[0].status"),
        ({"status": 503, "kind": "basket"}, "[0].kind"),
        ({"status": 503, "id": 42}, "[0].id"),
        ({"status": 503, "ids": "42"}, "[0].ids"),
        ({"status": 503, "probability": 1.5}, "[0].probability"),
        ({"status": 503, "count": 0}, "[0].count"),
        ({"status": 503, "for_seconds": 0}, "[0].for_seconds"),
        ({"status": 503, "headers": {"X": "a\r\nb"}}, "[0].headers.X"),
        ({"status": 503, "nonsense": 1}, "[0].nonsense"),
        ({"latency": -1}, "[0].latency.min"),
        ({"latency": True}, "[0].latency"),
        ({"latency": {"p50": 10}}, "[0].latency"),
        ({"latency": {"p50": 10, "p99": 5}}, "[0].latency"),
        ({"latency": {"min": 1, "max": 2, "p50": 1}}, "[0].latency"),
        ({"reset": "during"}, "[0].reset"),
        ({"hang": False}, "[0].hang"),
        ({"drip": 0}, "[0].drip"),
        ({"huge": 0}, "[0].huge"),
        ({"envelope": {"code": 1}}, "[0].envelope.code"),
        ({"status": 503, "hang": True}, "status and hang"),
        ({"kind": "cart"}, "expected latency or an action"),
        ({"garbage": True, "body": "x"}, "headers and body belong to status"),
        ({"status": 200, "headers": {"Content-Length": "3"}}, "length"),
        ({"hang": True, "apply": False, "apply_after_ms": 1}, "contradict"),
        ({"reset": "before", "apply": True}, "use after"),
        ("status", "[0]"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_by_its_field(fault: Any, field: str) -> None:
    with pytest.raises(FaultsError) as refused:
        parse_faults([fault])
    assert any(field in problem for problem in refused.value.problems), refused.value.problems


def test_every_problem_of_a_list_is_named_at_once() -> None:
    with pytest.raises(FaultsError) as refused:
        parse_faults([{"status": 1}, {"hang": True}, {"reset": "x"}])
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["[0].status", "[2].reset"]


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ({"latency": 5}, {"latency": {"min": 5, "max": 5}}),
        ({"drip": True}, {"drip": 1000.0}),
        ({"huge": True}, {"huge": 64}),
        ({"redirect": True}, {"redirect": "/login"}),
        ({"envelope": "Out of order"}, {"envelope": {"status": "error", "message": "Out of order"}}),
    ],
)
def test_short_forms_mean_the_long_ones(short: dict[str, Any], full: dict[str, Any]) -> None:
    def meant(fields: dict[str, Any]) -> dict[str, Any]:
        return rule(**fields).model_dump(exclude_none=True)

    assert meant(full) == meant(short)


@pytest.mark.parametrize(
    ("fault", "applies"),
    [
        ({"latency": 1}, True),
        ({"drip": True}, True),
        ({"truncated": True}, True),
        ({"reset": "after"}, True),
        ({"envelope": {"status": "success"}}, True),
        ({"hang": True, "apply_after_ms": 1}, True),
        ({"status": 503, "apply": True}, True),
        ({"latency": 1, "apply": False}, False),
        ({"envelope": "Invalid API key"}, False),
        ({"status": 503}, False),
        ({"hang": True}, False),
        ({"reset": "before"}, False),
        ({"garbage": True}, False),
    ],
)
def test_what_the_api_itself_answers_takes_effect_and_what_stands_before_it_does_not(
    fault: dict[str, Any], applies: bool
) -> None:
    assert applies is rule(**fault).applies


def test_the_first_rule_that_matches_is_taken_and_a_spent_one_is_passed_over() -> None:
    schedule = Schedule(
        parse_faults([{"kind": "cart", "id": "1", "count": 2, "status": 500}, {"ids": ["1", "2"], "status": 501}]),
        Clock(),
    )

    def status(kind: Any, entity_id: str) -> int | None:
        taken = schedule.take(kind, entity_id)
        return None if taken is None else taken.rule.status

    assert [status("cart", "1") for _ in range(4)] == [500, 500, 501, 501]
    assert [status("order", "1"), status("cart", "3"), status("cart", "2")] == [501, None, 501]
    assert [(state.hits, state.active) for state in schedule.states()] == [(2, False), (4, True)]


def test_a_rule_ends_when_its_time_is_over() -> None:
    clock = Clock()
    schedule = Schedule([rule(for_seconds=10, status=503)], clock)
    clock.now += 9.9
    assert schedule.take("cart", "1") is not None
    clock.now += 0.2
    assert schedule.take("cart", "1") is None


def hits(fields: dict[str, Any], requests: int) -> list[bool]:
    schedule = Schedule([rule(**fields)], Clock())
    return [schedule.take("cart", "1") is not None for _ in range(requests)]


@given(st.integers())
def test_a_fraction_with_a_seed_meets_the_same_requests_every_time(seed: int) -> None:
    fault = {"probability": 0.5, "seed": seed, "status": 503}
    assert hits(fault, 50) == hits(fault, 50)


def test_a_fraction_meets_about_that_many() -> None:
    assert 2700 < sum(hits({"probability": 0.3, "seed": 1, "status": 503}, 10_000)) < 3300
    assert sum(hits({"probability": 0, "status": 503}, 100)) == 0
    assert sum(hits({"probability": 1, "status": 503}, 100)) == 100


def test_latencies_follow_their_distribution_in_milliseconds() -> None:
    def samples(latency: Any) -> list[float]:
        asked, rng = rule(latency=latency).latency, Random(7)
        assert asked is not None
        return [asked.sample(rng) * 1000 for _ in range(20_000)]

    assert [round(sample, 9) for sample in samples(25)[:3]] == [25.0] * 3
    uniform = samples({"min": 10, "max": 30})
    assert 10 <= min(uniform) < 11
    assert 29 < max(uniform) <= 30
    cuts = quantiles(samples({"p50": 50, "p99": 400}), n=100)
    assert 47 < cuts[49] < 53
    assert 350 < cuts[98] < 450
