"""The faults of a soak, one after the other and round again. Each begins, lasts, and ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.chaos.world import World

#: What the API is like when nothing is wrong with it (ms).
USUAL: list[dict[str, Any]] = [{"latency": {"p50": 20, "p99": 80}}]
Begin = Callable[[World], Any]


@contextmanager
def _api(world: World, *faults: dict[str, Any]) -> Iterator[None]:
    world.api.set_faults([*faults, *USUAL])
    yield
    world.api.set_faults(USUAL)


@contextmanager
def _kafka_cut(world: World) -> Iterator[None]:
    for proxy in world.cluster.proxies:
        proxy.cut()
    yield
    for proxy in world.cluster.proxies:
        proxy.restore()


@contextmanager
def _kafka_slow(world: World) -> Iterator[None]:
    for proxy in world.cluster.proxies:
        proxy.slow(0.2, 200_000)
    yield
    for proxy in world.cluster.proxies:
        proxy.restore()


@contextmanager
def _broker_restart(world: World) -> Iterator[None]:
    world.cluster.stop(0)
    yield
    world.cluster.start(0)


@contextmanager
def _guest(world: World) -> Iterator[None]:
    """A second worker comes, and goes in good order."""
    worker = world.worker()
    world.begun(worker)
    yield
    worker.stop(40)


@contextmanager
def _guest_killed(world: World) -> Iterator[None]:
    worker = world.worker()
    world.begun(worker)
    yield
    worker.kill()


FAULTS: dict[str, Begin] = {
    "api-down": lambda world: _api(world, {"status": 503}),
    "brownout": lambda world: _api(world, {"status": 500, "probability": 0.3}),
    "guest": _guest,
    "kafka-cut": _kafka_cut,
    "api-slow": lambda world: _api(world, {"latency": {"min": 300, "max": 900}}),
    "broker-restart": _broker_restart,
    "resets": lambda world: _api(world, {"reset": "after", "probability": 0.1}),
    "guest-killed": _guest_killed,
    "too-many-requests": lambda world: _api(
        world, {"status": 429, "headers": {"Retry-After": "1"}, "probability": 0.05}
    ),
    "kafka-slow": _kafka_slow,
}
