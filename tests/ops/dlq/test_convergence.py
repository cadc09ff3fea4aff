"""However a log was deleted, and whatever happens meanwhile, a redrive leaves no entity older than it was."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.replay.world import ENTITIES, P0, P1, Again, World
from worker.core.event import Entity
from worker.core.state import RecordPosition
from worker.ops.dlq.letter import DeadLetter
from worker.ops.dlq.plan import Outcome, Plan
from worker.ops.replay.alongside import LiveReplay
from worker.ops.replay.range_scan import RangeScan
from worker.ops.replay.reading import Feed
from worker.ops.replay.tracker import Room


@given(seed=st.integers(0, 2**32), before=st.integers(1, 10), during=st.integers(0, 10), faults=st.integers(0, 6))
@settings(deadline=None, max_examples=400)
def test_nothing_older_than_the_newest_state_is_sent_and_nothing_in_the_log_is_left_out(
    seed: int, before: int, during: int, faults: int
) -> None:
    """Logs are deleted in part or compacted, partitions are added, letters are left out, the worker sends meanwhile."""
    draw = Random(seed)
    world = World(draw, during, faults)
    _write(world, before)
    letters = [_letter(world, offset, number) for number, offset in enumerate(sorted(world.rejected))]
    chosen = [letter for letter in letters if draw.random() < 0.8]
    held = dict(world.held)
    newest = world.newest()
    world.least = dict(newest)
    plan = _plan(world, chosen, letters)
    targets = plan.judge({P0: before, P1: before}, [], accept_stale=False)
    for entity, target in targets.items():
        assert target.state.at.offset == newest[entity], "not the newest state"
        assert newest[entity] not in world.deleted
    for letter in chosen:
        top = newest[_entity(letter)]
        if top not in world.deleted | world.emptied:
            assert _entity(letter) in targets, "the newest state is in the log, and not sent"

    _run(world, targets)

    world.end()
    final = {entity: offset for entity, offset in world.newest().items() if offset not in world.emptied}
    for entity, target in targets.items():
        assert {step.outcome for step in target.steps} <= {Outcome.SENT, Outcome.SUPERSEDED}
        assert entity not in final or world.held[entity] == final[entity]
    for entity in world.held.keys() - targets.keys():
        assert world.held[entity] == held.get(entity) or world.held[entity] >= before, "what is refused is not sent"


def _write(world: World, number: int) -> None:
    """The log as it is when the redrive starts, and what the worker made of it."""
    draw = world.draw
    world.log = [draw.choice(ENTITIES) for _ in range(number)]
    world.moved = {entity: draw.randrange(number) for entity in ENTITIES if draw.random() < 0.3}
    world.emptied = {offset for offset in range(number) if draw.random() < 0.15}
    world.rejected = {offset for offset in range(number) if draw.random() < 0.5} - world.emptied
    while world.sent_by_worker < number:
        world.work()
    world.deleted = set(range(draw.choice([0, 0, draw.randrange(number + 1)])))
    for entity in ENTITIES:
        mine = [offset for offset in range(number) if world.log[offset] == entity]
        # Compaction leaves the newest record, and a tombstone not even that.
        world.deleted |= set(mine[: draw.choice([0, 0, max(0, len(mine) - 1), len(mine)])])
    world.position = number


def _letter(world: World, offset: int, number: int) -> DeadLetter:
    kind, id_ = entity = world.log[offset]
    unsaid: dict[str, Any] = dict.fromkeys(["key", "reason", "message", "attempts", "failed_at", "worker"])
    return DeadLetter(
        where=RecordPosition("letters", 0, number),
        origin=world.state(offset).at,
        headers=(),
        entity=kind,
        id=id_,
        timestamp=offset,
        truncated=False,
        call_id=None,
        agent=None,
        event=entity,
        **unsaid,
    )


def _entity(letter: DeadLetter) -> Entity:
    assert letter.event is not None
    return letter.event


def _plan(world: World, chosen: list[DeadLetter], letters: list[DeadLetter]) -> Plan:
    """After the log, one partition after the other, was shown to it."""
    plan = Plan(chosen, {}, [P0, P1])
    for letter in letters:
        if letter not in chosen:
            plan.add_other(letter)
    kept = [offset for offset in range(len(world.log)) if offset not in world.deleted]
    partitions = [P0, P1]
    world.draw.shuffle(partitions)
    for partition in partitions:
        for offset in kept:
            if world.state(offset).at[:2] == partition:
                plan.meet(world.state(offset), world.decoded(offset))
    return plan


def _run(world: World, targets: dict[Entity, Any]) -> None:
    scan = RangeScan()
    for entity, target in targets.items():
        scan.newest.put(entity, target.state.at, target.state.timestamp)
    stand_in: Any = world
    replay = LiveReplay(
        scan,
        stand_in,
        Feed(Again(world), {P0: 0}),
        stand_in,
        stand_in,
        Room(2, 1000),
        {},
        finished=lambda entity, state, refusal: targets[entity].finish(state, refusal),
    )
    replay.run()
    assert not replay.tracker.open
    assert not replay.tracker.waiting
