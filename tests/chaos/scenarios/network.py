"""Faults of the network, by the proxies that stand before the brokers and the API."""

from collections.abc import Callable

from tests.chaos.kinds import kind
from tests.chaos.proxy import Proxy
from tests.chaos.world import Options, World

_LOSSY = Options(lossy=True)


@kind("kafka-cut")
def kafka_cut(world: World) -> None:
    """The network between workers and broker is cut, for less or for more than the session timeout, and comes back."""
    world.worker()
    world.worker()
    _disturb(world, world.cluster.proxies, Proxy.cut, longest=9.0)


@kind("kafka-silent")
def kafka_silent(world: World) -> None:
    """The network between workers and broker swallows everything without a word, and comes back."""
    world.worker()
    world.worker()
    _disturb(world, world.cluster.proxies, Proxy.blackhole, longest=9.0)


@kind("kafka-slow")
def kafka_slow(world: World) -> None:
    """The network between workers and broker is slow and thin."""
    delay, rate = world.draw.uniform(0.05, 0.4), world.draw.uniform(20_000, 200_000)
    world.worker()
    world.worker()
    _disturb(world, world.cluster.proxies, lambda proxy: proxy.slow(delay, rate), longest=9.0)


@kind("one-broker-cut", Options(brokers=3))
def one_broker_cut(world: World) -> None:
    """One of three brokers can't be reached by the workers, though it goes on leading its partitions."""
    world.worker()
    world.worker()
    _disturb(world, [world.draw.choice(world.cluster.proxies)], Proxy.cut, longest=12.0)


@kind("api-cut", _LOSSY)
def api_cut(world: World) -> None:
    """The network between worker and API is cut in the middle of requests, again and again."""
    world.api.set_faults([{"latency": {"min": 20, "max": 400}}])
    world.worker()
    with world.load():
        world.delivered(10)
        for _ in range(world.draw.randint(3, 8)):
            if world.draw.random() < 0.6:
                world.api_proxy.reset_connections()
            else:
                world.api_proxy.cut()
                world.sleep(0.1, 3.0)
                world.api_proxy.restore()
            world.sleep(0.1, 1.0)
        world.healed()
        world.delivered(10)


@kind("api-silent", _LOSSY)
def api_silent(world: World) -> None:
    """The network between worker and API swallows everything without a word, and comes back."""
    world.worker()
    _disturb(world, [world.api_proxy], Proxy.blackhole, longest=6.0)


@kind("api-slow", _LOSSY)
def api_slow(world: World) -> None:
    """The network between worker and API is so slow that some answers come after the deadline."""
    delay = world.draw.uniform(0.2, 0.9)
    world.worker()
    _disturb(world, [world.api_proxy], lambda proxy: proxy.slow(delay), longest=6.0)


def _disturb(world: World, proxies: list[Proxy], how: Callable[[Proxy], None], longest: float) -> None:
    with world.load():
        world.delivered(20)
        for _ in range(world.draw.randint(1, 2)):
            for proxy in proxies:
                how(proxy)
            world.sleep(0.5, longest)
            for proxy in proxies:
                proxy.restore()
            world.sleep(0.2, 2.0)
        world.healed()
        world.delivered(20)
