"""Delays between attempts: 1, 2, 4 … 30 s, plus up to a quarter: what failed together does not return together."""

import random
from collections.abc import Callable
from itertools import islice

import backoff

LONGEST = 30.0
_STEPS = 6
_JITTER = 0.25


def delays(draw: Callable[[], float] = random.random) -> Callable[[int], float]:
    """The delay after so many failures (0: the first), in seconds. `draw` gives a number in [0, 1)."""
    steps = backoff.expo(base=2, factor=1, max_value=LONGEST)
    next(steps)  # the generator's first value is for the library's own loop
    exact = tuple(float(step) for step in islice(steps, _STEPS))

    def delay(failures: int) -> float:
        return exact[min(failures, _STEPS - 1)] * (1.0 + _JITTER * draw())

    return delay
