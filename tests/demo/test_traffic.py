from collections import Counter, defaultdict
from itertools import islice
from typing import Any

import orjson
import pytest

from worker.core.event import Entity, Event, Invalid, Skipped
from worker.formats import ReadConfig, read
from worker.sandbox.traffic import UNKNOWN_VISIT, Sample, traffic

COUNT = 5000


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return take(seed=1)


def take(seed: int, count: int = COUNT, per_second: float = 250.0) -> list[Sample]:
    return list(islice(traffic(seed, per_second), count))


def meaning(sample: Sample) -> Event | Skipped | Invalid:
    return read(sample.value, ReadConfig())


def valid(samples: list[Sample]) -> list[tuple[Entity, dict[str, Any]]]:
    decoded = [(meaning(sample), sample.value) for sample in samples]
    return [(found.entity, orjson.loads(value or b"")) for found, value in decoded if isinstance(found, Event)]


def test_the_same_seed_gives_the_same_records(samples: list[Sample]) -> None:
    assert take(seed=1) == samples


def test_another_seed_gives_other_records(samples: list[Sample]) -> None:
    assert {sample.value for sample in take(seed=2)}.isdisjoint({s.value for s in samples if s.value is not None})


@pytest.mark.parametrize("per_second", [60.0, 250.0, 1000.0])
def test_the_pace_is_about_what_was_asked_for(per_second: float) -> None:
    seconds = 20
    spent = sum(sample.delay for sample in take(3, int(per_second * seconds), per_second))
    assert spent == pytest.approx(seconds, rel=0.25)


def test_records_come_in_time_order(samples: list[Sample]) -> None:
    assert min(sample.delay for sample in samples) >= 0


def test_an_events_key_is_its_entity(samples: list[Sample]) -> None:
    for sample in samples:
        found = meaning(sample)
        if isinstance(found, Event):
            assert sample.key.decode() == str(found.entity)


def test_most_records_are_valid_and_some_are_skipped_or_broken(samples: list[Sample]) -> None:
    found = Counter(type(meaning(sample)) for sample in samples)
    assert found[Event] > 0.9 * COUNT
    assert found[Skipped] > 10
    assert found[Invalid] > 10


def test_records_are_broken_in_more_than_one_way(samples: list[Sample]) -> None:
    broken = [found for found in map(meaning, samples) if isinstance(found, Invalid)]
    assert {found.reason for found in broken} == {"malformed_json", "invalid_event"}
    assert len({found.message for found in broken}) >= 4


def test_both_formats_and_both_kinds_occur_and_so_do_calls(samples: list[Sample]) -> None:
    events = valid(samples)
    assert {(entity.kind, event.get("source") == "cs-cart") for entity, event in events} == {
        (kind, cs_cart) for kind in ("cart", "order") for cs_cart in (False, True)
    }
    assert any("call_id" in event and "agent" in event for _, event in events)


def test_carts_change_in_bursts(samples: list[Sample]) -> None:
    now, before = 0.0, dict[bytes, float]()
    quick = 0
    for sample in samples:
        now += sample.delay
        quick += now - before.get(sample.key, float("-inf")) < 0.5
        before[sample.key] = now
    assert quick > COUNT / 2


def test_orders_change_their_status(samples: list[Sample]) -> None:
    statuses = defaultdict(set)
    for entity, event in valid(samples):
        if entity.kind == "order":
            statuses[entity].add(event["status"])
    assert max(map(len, statuses.values())) == 4


def test_an_entity_keeps_its_visit_and_some_visits_are_unknown_to_the_api(samples: list[Sample]) -> None:
    visits = defaultdict(set)
    for entity, event in valid(samples):
        visits[entity].add(event["visit_id"])
    assert {len(seen) for seen in visits.values()} == {1}
    assert {UNKNOWN_VISIT} in visits.values()
