"""What is measured. Each takes the test bed and brings findings home."""

from collections.abc import Callable

from tests.bench.bed import Bed
from tests.bench.figures import Findings
from tests.bench.scenarios import (
    calls,
    collapse,
    cost,
    delivery,
    freshness,
    growth,
    idle,
    intake,
    memory,
    one_core,
    scale,
    target,
)

Scenario = Callable[[Bed], Findings]

SCENARIOS: dict[str, Scenario] = {
    "target": target.run,
    "intake": intake.run,
    "delivery": delivery.run,
    "one_core": one_core.run,
    "collapse": collapse.run,
    "freshness": freshness.run,
    "calls": calls.run,
    "memory": memory.run,
    "scale": scale.run,
    "cost": cost.run,
    "growth": growth.run,
    "idle": idle.run,
}
