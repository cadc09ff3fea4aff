"""What a soak has to hold. Pure: from samples and faults to a list of what is wrong, in words."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Sample:
    """One look at the worker. `at` in seconds from the start, memory in MB; freshness in seconds, of what the API
    accepted since the look before, None: nothing."""

    at: float
    resident: float
    files: int
    threads: int
    lag: float
    fresh_p50: float | None = None
    fresh_p99: float | None = None


@dataclass(frozen=True)
class Fault:
    """`began` and `ended` in seconds from the start."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Plan:
    """`seconds` in all, a look every `every` seconds. After a fault all is judged again once `recovery` has passed;
    before `warm_up` nothing is."""

    seconds: float
    every: float
    recovery: float
    warm_up: float


@dataclass(frozen=True)
class Bound:
    """What may not grow: by at most `step` over the run, and `hourly` more for each hour of it."""

    name: str
    unit: str
    of: Callable[[Sample], float | None]
    step: float
    hourly: float = 0.0


BOUNDS = (
    Bound("memory", "MB", lambda sample: sample.resident, step=4.0, hourly=2.0),
    Bound("open files", "files", lambda sample: sample.files, step=3.0),
    Bound("threads", "threads", lambda sample: sample.threads, step=1.0),
    Bound("freshness, median", "s", lambda sample: sample.fresh_p50, step=0.1),
    Bound("freshness, p99", "s", lambda sample: sample.fresh_p99, step=0.5),
    Bound("lag", "events", lambda sample: sample.lag, step=100.0),
)
#: Fewer judged samples say nothing.
FEWEST = 10
#: The share of looks that may fail, and the longest time without one, in intervals.
MISSING_AT_MOST, LONGEST_GAP = 0.05, 4.0


def verdict(samples: Sequence[Sample], faults: Sequence[Fault], plan: Plan) -> list[str]:
    """What is wrong; empty: nothing."""
    calm = judged(samples, faults, plan)
    wrong = list(_missing(samples, plan))
    if len(calm) < FEWEST:
        return [*wrong, f"missing: {len(calm)} samples between the faults, too few to judge by"]
    for bound in BOUNDS:
        found = growth(calm, bound)
        if found is None:
            wrong.append(f"missing: too few samples have a value for {bound.name}")
        elif found > allowed(calm, bound):
            at_most = allowed(calm, bound)
            wrong.append(f"{bound.name} grew by {found:.3g} {bound.unit}, {at_most:.3g} at most are allowed")
    return wrong


def judged(samples: Sequence[Sample], faults: Sequence[Fault], plan: Plan) -> list[Sample]:
    """Those that no fault disturbs, and that come after the warm-up."""
    return [
        sample
        for sample in samples
        if sample.at >= plan.warm_up
        and not any(fault.began <= sample.at <= fault.ended + plan.recovery for fault in faults)
    ]


def growth(samples: Sequence[Sample], bound: Bound) -> float | None:
    """From the first sample to the last along the median of all slopes, which no single step or peak moves."""
    points = [(sample.at, value) for sample in samples if (value := bound.of(sample)) is not None]
    if len(points) < FEWEST:
        return None
    thinned = points[:: max(1, len(points) // 300)]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for number, earlier in enumerate(thinned)
        for later in thinned[number + 1 :]
    ]
    return statistics.median(slopes) * (points[-1][0] - points[0][0])


def allowed(samples: Sequence[Sample], bound: Bound) -> float:
    return bound.step + bound.hourly * (samples[-1].at - samples[0].at) / 3600


def _missing(samples: Sequence[Sample], plan: Plan) -> Iterator[str]:
    expected = int(plan.seconds / plan.every)
    if len(samples) < (1 - MISSING_AT_MOST) * expected:
        yield f"missing: {len(samples)} samples of {expected}"
    times = [0.0, *(sample.at for sample in samples), plan.seconds]
    gap, at = max((later - earlier, earlier) for earlier, later in pairwise(times))
    if gap > LONGEST_GAP * plan.every:
        yield f"missing: no sample for {gap:.0f} s from {at:.0f} s on"
