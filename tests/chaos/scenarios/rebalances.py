"""Partitions that come and go."""

from tests.chaos.kinds import kind
from tests.chaos.traffic import Mix
from tests.chaos.world import Options, World

_RANGE = {"KAFKA_ASSIGNOR": "range"}
# Requests take longer than a partition takes to move when nobody waits: members hear of a rebalance by heartbeat.
_SLOW = {"OPTICO_TIMEOUT_SECONDS": "5", "KAFKA_SESSION_TIMEOUT_MS": "1500"}
_FEW = Mix(entities=16)


@kind("joins-and-leaves", Options(partitions=6))
def joins_and_leaves(world: World) -> None:
    """A storm of joins and leaves, cooperative-sticky: each of them within the time of a request or two."""
    storm(world)


@kind("joins-and-leaves-range", Options(partitions=6, settings=_RANGE))
def joins_and_leaves_range(world: World) -> None:
    """The same under an eager assignor: every join takes all partitions from all members."""
    storm(world)


@kind("joins-and-leaves-static", Options(partitions=6))
def joins_and_leaves_static(world: World) -> None:
    """The same with static members, which stop and start again under their names, faster than their session ends."""
    world.api.set_faults([{"latency": {"p50": 150, "p99": 1000}}])
    names = ["one", "two", "three"]
    current = {name: world.worker(KAFKA_GROUP_INSTANCE_ID=name) for name in names}
    with world.load():
        world.delivered(10)
        for _ in range(world.draw.randint(3, 5)):
            name = world.draw.choice(names)
            world.begun(current[name])
            if world.draw.random() < 0.5:
                assert current[name].stop(40) == 0
            else:
                current[name].kill()
            world.sleep(0.0, 2.0)
            current[name] = world.worker(KAFKA_GROUP_INSTANCE_ID=name)
            world.sleep(0.0, 3.0)
        world.healed()
        world.delivered(10)


@kind("away-and-back", Options(partitions=2, mix=_FEW, settings=_SLOW))
def away_and_back(world: World) -> None:
    """A partition moves away and back within the time of one request, cooperative-sticky."""
    there_and_back(world)


@kind("away-and-back-range", Options(partitions=2, mix=_FEW, settings=_SLOW | _RANGE))
def away_and_back_range(world: World) -> None:
    """The same under an eager assignor."""
    there_and_back(world)


def storm(world: World) -> None:
    world.api.set_faults([{"latency": {"p50": 150, "p99": 1000}}])
    world.worker()
    with world.load():
        world.delivered(10)
        for _ in range(world.draw.randint(5, 8)):
            running = world.running()
            leave = len(running) > 1 and (len(running) == 4 or world.draw.random() < 0.45)
            if leave:
                victim = world.draw.choice(running)
                world.begun(victim)
                if world.draw.random() < 0.2:
                    victim.kill()
                else:
                    assert victim.stop(40) == 0
            else:
                world.worker()
            world.sleep(0.0, 2.5)
        world.healed()
        world.delivered(10)


def there_and_back(world: World) -> None:
    """The visitor leaves as soon as it has come. Requests are slow to take effect, and some hang for good."""
    hang = {"probability": 0.05, "seed": world.draw.randrange(1000), "hang": True}
    world.worker()
    with world.load():
        world.delivered(5)
        world.api.set_faults([hang, {"latency": {"min": 2500, "max": 4500}}])
        for _ in range(world.draw.randint(1, 2)):
            visitor = world.worker()
            world.until(visitor.holdings, "the visitor to be given a partition", 60)
            world.sleep(0.0, 1.0)
            assert visitor.stop(40) == 0
        world.api.clear_faults()
        world.healed()
        world.delivered(5)
