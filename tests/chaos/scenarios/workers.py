"""Faults of the workers."""

import signal

from tests.chaos.kinds import kind
from tests.chaos.world import Options, World


@kind("worker-killed")
def worker_killed(world: World) -> None:
    """A worker is killed (SIGKILL) with requests in flight, some of which take effect after its end."""
    late = {"probability": 0.3, "seed": world.draw.randrange(1000), "hang": True}
    slow = {"latency": {"min": 50, "max": 400}}
    world.api.set_faults([late | {"apply_after_ms": world.draw.randrange(500, 4000)}, slow])
    victim = world.worker()
    with world.load():
        world.delivered(20)
        world.worker()
        world.sleep(0.0, 4.0)
        world.until(lambda: world.api.state().in_flight > 0, "a request in flight")
        victim.kill()
        world.api.set_faults([slow])
        world.healed()
        world.delivered(20)


@kind("static-killed", Options(settings={"KAFKA_SESSION_TIMEOUT_MS": "20000", "OPTICO_TIMEOUT_SECONDS": "5"}))
def static_killed(world: World) -> None:
    """A static member is killed with requests in flight and is back at once; they take effect after its successor's."""
    late = {"probability": 0.3, "seed": world.draw.randrange(1000), "hang": True}
    slow = {"latency": {"min": 50, "max": 400}}
    world.api.set_faults([late | {"apply_after_ms": world.draw.randrange(2500, 9000)}, slow])
    world.worker(KAFKA_GROUP_INSTANCE_ID="other")
    for _ in range(world.draw.randint(1, 2)):
        victim = world.worker(KAFKA_GROUP_INSTANCE_ID="one")
        with world.load():
            world.until(victim.holdings, "it to hold partitions", 60)
            world.delivered(10)
            world.until(lambda: world.api.state().in_flight > 1, "requests in flight")
            victim.kill()
    world.api.set_faults([slow])
    with world.load():
        world.worker(KAFKA_GROUP_INSTANCE_ID="one")
        world.healed()
        world.delivered(20)


@kind("sigterm-under-load")
def sigterm_under_load(world: World) -> None:
    """SIGTERM to one worker after the other while events keep coming, and another one takes over."""
    world.api.set_faults([{"latency": {"min": 20, "max": 900}}])
    leaving = world.worker()
    with world.load():
        world.delivered(10)
        for _ in range(world.draw.randint(2, 3)):
            world.worker()
            world.sleep(0.5, 3.0)
            world.until(lambda: world.api.state().in_flight > 0, "a request in flight")
            assert leaving.stop(40) == 0
            leaving = world.workers[-1]
        world.healed()
        world.delivered(10)


@kind("backlog-and-joins", Options(partitions=6))
def backlog_and_joins(world: World) -> None:
    """Workers join and leave while a backlog is being read: it is sent once an entity and owner, not event by event."""
    world.traffic.write(world.draw.randint(2000, 4000))
    world.api.set_faults([{"latency": {"min": 20, "max": 200}}])
    world.healed()
    for _ in range(world.draw.randint(2, 3)):
        world.worker()
        world.sleep(0.3, 2.5)
    leaving = world.draw.choice(world.running())
    world.begun(leaving)
    assert leaving.stop(40) == 0
    world.settle()
    most = 2 * (world.options.mix.entities + 3)
    assert world.api.state().requests <= most, "the backlog was sent event by event"
    with world.load():
        world.delivered(10)


@kind("static-twin")
def static_twin(world: World) -> None:
    """A second process starts under a static member's name: the first one is fenced, and says so as it ends."""
    world.worker(KAFKA_GROUP_INSTANCE_ID="other")
    first = world.worker(KAFKA_GROUP_INSTANCE_ID="one")
    world.expected_exits[first.name] = 1
    with world.load():
        world.until(first.holdings, "the first to hold partitions", 60)
        world.sleep(0.0, 2.0)
        world.worker(KAFKA_GROUP_INSTANCE_ID="one")
        assert first.exit_code(60) == 1
        assert "enced" in first.log_text()
        world.healed()
        world.delivered(20)


@kind("clock-jumps", Options(tweak="clock-jumps"))
def clock_jumps(world: World) -> None:
    """The wall clock jumps by up to a day, forth and back, all the time; 429s carry dates as Retry-After."""
    date = {"status": 429, "headers": {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}, "probability": 0.05}
    world.api.set_faults([date | {"seed": world.draw.randrange(1000)}])
    world.worker()
    with world.load():
        world.delivered(100)
        world.worker()
        world.sleep(1.0, 5.0)
        world.healed()
        world.delivered(20)


@kind("worker-frozen", Options(lossy=True))
def worker_frozen(world: World) -> None:
    """A worker is stopped by the machine (SIGSTOP) in the middle of requests, until its partitions are others'."""
    world.api.set_faults([{"latency": {"min": 50, "max": 1000}}])
    frozen = world.worker()
    world.worker()
    with world.load():
        world.until(frozen.holdings, "it to hold partitions", 60)
        world.delivered(10)
        for _ in range(world.draw.randint(1, 2)):
            frozen.signal(signal.SIGSTOP)
            world.sleep(0.5, 12.0)
            frozen.signal(signal.SIGCONT)
            world.sleep(0.5, 2.0)
        frozen.disturbed = True
        world.healed()
        world.delivered(10)
