"""Is the target ever what is measured? Its ceiling, by the least that a client can do."""

import time

from tests.bench.bed import Bed
from tests.bench.figures import Figure, Findings, Goal
from tests.bench.machine import cpu_seconds
from tests.brokers.tools import wait_until

CONNECTIONS = 32
#: The most that anything here asks of it, which is the bare HTTP client where it answers at once (requests/s).
ASKED_AT_MOST = 40_000


def run(bed: Bed) -> Findings:
    rates, costs, errors = [], [], []
    for _ in range(bed.rounds):
        bed.api.set(latency=0, reset=True)
        rate, cost = _load(bed)
        rates.append(rate)
        costs.append(cost)
        errors.append(_latency_error(bed))
        bed.api.set(latency=0, reset=True)
    return Findings(
        [
            Figure(
                "the target's ceiling",
                "requests/s",
                tuple(rates),
                "the most that the bare client asks of it",
                (float(ASKED_AT_MOST),) * bed.rounds,
                Goal("at least", 1.5, "ratio"),
            ),
            Figure("the target's own cost", "µs CPU a request", tuple(costs)),
            Figure("how late it answers at 50 ms", "ms", tuple(errors), goal=Goal("at most", 1.0)),
        ]
    )


def _load(bed: Bed) -> tuple[float, float]:
    cpu = cpu_seconds(bed.api.pid)
    with bed.program("tests.bench.load", bed.api.port, CONNECTIONS, bed.seconds(2.0, 0.5)) as load:
        rate = float(wait_until(lambda: load.output.read_text().strip(), "the load's end", 20))
    return rate, (cpu_seconds(bed.api.pid) - cpu) / bed.api.requests() * 1e6


def _latency_error(bed: Bed) -> float:
    """Beyond what was asked for, in ms, at a moderate load."""
    bed.api.set(latency=0.05, reset=True)
    with bed.program("tests.bench.load", bed.api.port, CONNECTIONS, bed.seconds(1.0, 0.5)) as load:
        wait_until(lambda: load.output.read_text().strip(), "the load's end", 20)
    time.sleep(0.1)
    taken = [each.answered - each.arrived for each in bed.api.log() if each.answered]
    return (sum(taken) / len(taken) - 0.05) * 1e3
