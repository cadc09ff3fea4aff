"""What operators do to topics and groups, and what disks do."""

import time

from tests.brokers.tools import end_offsets
from tests.chaos.kinds import kind
from tests.chaos.world import Options, World


@kind("corrupt-batch", Options(partitions=2))
def corrupt_batch(world: World) -> None:
    """A batch is damaged on the broker's disk: the worker ends, naming it, and goes on once it is cut off the log."""
    world.traffic.write(world.draw.randint(100, 300))
    world.ledger.read_log(world.cluster.internal)
    partition = world.draw.randrange(2)
    world.cluster.stop(0)
    world.cluster.corrupt(world.topic, partition, world.draw)
    world.cluster.start(0)
    victim = world.worker()
    world.expected_exits[victim.name] = 1
    assert victim.exit_code(60) == 1
    reason = victim.logged("the worker ends with a failure")[0]["reason"]
    assert f"{world.topic}-{partition}" in reason, reason
    assert "next offsets to read" in reason, reason
    world.remove(partition, end_offsets(world.cluster.internal, world.topic)[partition])
    world.healed()
    world.worker()
    with world.load():
        world.delivered(20)


@kind("topic-recreated", Options(partitions=3))
def topic_recreated(world: World) -> None:
    """The topic is deleted and created again under a running worker; offsets start anew."""
    world.worker()
    with world.load():
        world.delivered(20)
    world.settle()
    world.ledger.read_log(world.cluster.internal)
    world.cluster.delete_topic(world.topic)
    world.sleep(0.0, 3.0)
    world.traffic.close()
    world.create_topic()
    world.ledger.begin_new_log(time.time())
    world.healed()
    with world.load():
        world.sleep(1.0, 3.0)


@kind("partitions-added", Options(partitions=2))
def partitions_added(world: World) -> None:
    """Partitions are added under a running worker while nothing is unread; entities move to other partitions."""
    world.worker()
    with world.load():
        world.delivered(20)
    world.settle()
    world.cluster.add_partitions(world.topic, 2 + world.draw.randint(1, 3))
    world.healed()
    with world.load():
        world.sleep(1.0, 3.0)


@kind("offsets-reset", Options(partitions=3))
def offsets_reset(world: World) -> None:
    """A stopped group's offsets are set back by an operator: history is sent once an entity, in its newest state."""
    first = world.worker()
    with world.load():
        world.delivered(40)
    world.settle()
    assert first.stop(40) == 0
    ends = end_offsets(world.cluster.internal, world.topic)
    world.reset_offsets({partition: world.draw.randint(0, end) for partition, end in ends.items()})
    before = world.api.state().requests
    world.healed()
    world.worker()
    world.settle()
    entities = world.options.mix.entities + 3
    assert world.api.state().requests - before <= entities, "a replay walks through history"
    with world.load():
        world.delivered(10)


@kind("retention-stopped", Options(partitions=3))
def retention_stopped(world: World) -> None:
    """While the group is stopped, retention removes what it had committed and more; what is left is read."""
    first = world.worker()
    with world.load():
        world.delivered(20)
    world.settle()
    assert first.stop(40) == 0
    world.traffic.write(world.draw.randint(50, 300))
    for partition, end in end_offsets(world.cluster.internal, world.topic).items():
        world.remove(partition, world.draw.randint(0, end))
    world.healed()
    world.worker()
    with world.load():
        world.delivered(20)


@kind("retention-running", Options(partitions=2, settings={"WORKER_MAX_PENDING": "10"}))
def retention_running(world: World) -> None:
    """Retention overtakes a worker whose intake is paused: it goes on with what is left."""
    worker = world.worker()
    world.api.set_faults([{"status": 503}])
    with world.load():
        world.until(lambda: worker.metrics()["intake_paused{reason=max_pending}"] == 1, "intake to pause", 60)
        world.sleep(3.0, 5.0)
    for partition, end in end_offsets(world.cluster.internal, world.topic).items():
        world.remove(partition, world.draw.randint(end // 2, end))
    world.api.clear_faults()
    world.healed()
    with world.load():
        world.delivered(20)
