"""Faults of the brokers themselves."""

from tests.chaos.kinds import kind
from tests.chaos.world import Options, World


@kind("broker-killed")
def broker_killed(world: World) -> None:
    """The only broker is killed (SIGKILL) under load, and starts again over its data."""
    world.worker()
    with world.load():
        world.delivered(20)
        for _ in range(world.draw.randint(1, 2)):
            world.cluster.kill(0)
            world.sleep(0.2, 8.0)
            world.cluster.start(0)
            world.sleep(0.5, 2.0)
        world.healed()
        world.delivered(20)


@kind("rolling-restart", Options(brokers=3))
def rolling_restart(world: World) -> None:
    """Three brokers, replication 3, min.insync 2: each in turn stopped or killed, so that leaders are elected."""
    for _ in range(2):
        world.worker()
    order = [0, 1, 2]
    world.draw.shuffle(order)
    with world.load():
        world.delivered(20)
        for broker in order:
            (world.cluster.stop if world.draw.random() < 0.6 else world.cluster.kill)(broker)
            world.sleep(0.5, 3.0)
            world.cluster.start(broker)
            world.sleep(0.5, 2.0)
        world.healed()
        world.delivered(20)
