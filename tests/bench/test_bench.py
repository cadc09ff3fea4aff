"""The benchmark works: a small one, on the tests' broker. Its figures mean nothing here, that there are some does."""

import math

import pytest

from tests.bench.bed import Bed
from tests.bench.scenarios import SCENARIOS
from tests.brokers.kafka import ExternalCluster, KafkaCluster


@pytest.mark.parametrize("name", ["target", "intake"])
def test_a_small_measurement_has_figures(name: str, kafka: KafkaCluster | ExternalCluster) -> None:
    with Bed(lambda _: None, quick=True, rounds=1, kafka=kafka) as bed:
        figures = SCENARIOS[name](bed).figures
    assert figures
    for figure in figures:
        assert math.isfinite(figure.value), figure.name
        assert figure.value > 0, figure.name
