"""One soak: traffic, faults and looks at the worker; then what became of it all."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle

from tests.bench.figures import percentile
from tests.bench.machine import usage
from tests.chaos import checks
from tests.chaos.cluster import ProxiedCluster
from tests.chaos.process import ChaosWorker
from tests.chaos.traffic import Mix
from tests.chaos.world import Options, RunError, World
from tests.soak.faults import FAULTS, USUAL
from tests.soak.judge import Fault, Plan, Sample, verdict

#: Events a second, over so many entities: nearly every event makes a request.
RATE, ENTITIES = 50.0, 3_000
SETTINGS = {"OPTICO_MAX_CONCURRENCY": "32", "OPTICO_TIMEOUT_SECONDS": "5", "WORKER_COLLAPSE_WINDOW_MS": "500"}

Say = Callable[[str], None]


@dataclass
class Result:
    """`wrong` is empty if all is well."""

    plan: Plan
    samples: list[Sample]
    faults: list[Fault]
    events: int = 0
    requests: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Timing:
    """`interval` between the starts of two faults, `lasting` of each (s)."""

    plan: Plan
    interval: float
    lasting: float


def schedule(minutes: float) -> Timing:
    """Longer runs leave more time between the faults."""
    seconds = minutes * 60
    interval = min(90.0, max(15.0, seconds / 30))
    every = min(5.0, max(1.0, interval / 15))
    # One round of all faults warms the worker up; of a short run half of it.
    plan = Plan(seconds, every, 0.45 * interval, min(len(FAULTS) * interval, seconds / 3))
    return Timing(plan, interval, 0.22 * interval)


def soak(minutes: float, seed: str, say: Say) -> Result:
    """Blocks for that long, and for what coming to rest takes."""
    timing = schedule(minutes)
    plan = timing.plan
    options = Options(settings=SETTINGS, mix=Mix(entities=ENTITIES))
    with ProxiedCluster() as cluster, World(cluster, seed, options) as world:
        world.api.set_faults(USUAL)
        world.traffic._rate = RATE
        worker = world.worker()
        worker.wait_ready()
        started = time.time()
        looks = Looks(worker, plan, started)
        with world.load():
            looks.start()
            faults = list(_disturb(world, timing, started, say))
            looks.join()
        result = Result(plan, looks.samples, faults, world.traffic.count)
        say("coming to rest")
        result.wrong += _at_rest(world)
        result.requests = len(world.ledger.requests)
        result.samples = list(_with_freshness(looks.samples, world, started))
    result.wrong += verdict(result.samples, result.faults, plan)
    return result


def _disturb(world: World, timing: Timing, started: float, say: Say) -> Iterator[Fault]:
    """A quiet half, a fault, and so on to the end."""
    seconds = timing.plan.seconds
    names = cycle(FAULTS)
    begins = timing.interval / 2
    while begins + timing.lasting < seconds:
        _sleep_until(started + begins)
        name = next(names)
        say(f"{begins:.0f} s of {seconds:.0f}: {name}")
        began = time.time() - started
        with FAULTS[name](world):
            _sleep_until(started + begins + timing.lasting)
        yield Fault(name, round(began, 2), round(time.time() - started, 2))
        begins += timing.interval
    _sleep_until(started + seconds)


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


class Looks:
    """Looks at the worker every few seconds, on a thread of its own. A look that fails is missing afterwards."""

    def __init__(self, worker: ChaosWorker, plan: Plan, started: float) -> None:
        self.samples: list[Sample] = []
        self._worker, self._plan, self._started = worker, plan, started
        self._thread = threading.Thread(target=self._run, name="looks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        for number in range(1, int(self._plan.seconds / self._plan.every) + 1):
            _sleep_until(self._started + number * self._plan.every)
            try:
                lag = self._worker.total("consumer_lag")
                seen = usage(self._worker.pid)
            except (OSError, AssertionError, ValueError):
                continue
            at = time.time() - self._started
            self.samples.append(Sample(round(at, 2), round(seen.resident, 2), seen.files, seen.threads, lag))


def _at_rest(world: World) -> list[str]:
    """Brings all to an end; says what was lost, stale, or out of order."""
    try:
        world.settle(within=180)
        wrong = list(world._sums())
        for worker in world.running():
            worker.stop(40)
        wrong += world._exits()
        world.settle_offsets()
    except RunError as error:
        wrong = [str(error)]
    world.ledger.collect(world.cluster.internal, world.group, world._since, world.api, world.workers)
    assert world.letters is not None
    world.ledger.collect_letters(world.cluster.internal, world.letters)
    for name in ("0 lost, 0 stale", "rejections answered", "in order", "one in flight"):
        wrong += checks.CHECKS[name](world.ledger)
    wrong += checks.letters_are_exactly_the_rejected(world.ledger)
    return wrong[:20]


def _with_freshness(samples: list[Sample], world: World, started: float) -> Iterator[Sample]:
    """From the record's time to the end of its first accepted request, by the look before which it ended."""
    written = world.ledger.by_version()
    seen: set[int] = set()
    ages: list[tuple[float, float]] = []
    for request in sorted(world.ledger.requests, key=lambda request: request.finished or 0.0):
        if request.success and request.finished is not None and request.version not in seen:
            seen.add(request.version)
            if (event := written.get(request.version)) is not None:
                ages.append((request.finished - started, request.finished - event.timestamp))
    at = 0
    for sample in samples:
        found = []
        while at < len(ages) and ages[at][0] <= sample.at:
            found.append(ages[at][1])
            at += 1
        if not found:
            yield sample
            continue
        p50, p99 = (round(percentile(found, share), 4) for share in (0.5, 0.99))
        yield replace(sample, fresh_p50=p50, fresh_p99=p99)
