"""However requests, answers and newer events interleave, no entity ends older than the topic."""

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.replay.world import ENTITIES, FAILED, P0, Again, World
from worker.core.event import Event
from worker.core.outcome import DELIVERED
from worker.ops.replay.alongside import LiveReplay
from worker.ops.replay.dispatch import Answer
from worker.ops.replay.range_scan import RangeScan, Refusal
from worker.ops.replay.reading import Feed
from worker.ops.replay.tracker import Room


@given(seed=st.integers(0, 2**32), before=st.integers(1, 8), during=st.integers(0, 12), faults=st.integers(0, 8))
@settings(deadline=None, max_examples=400)
def test_no_entity_ends_older_than_the_topic(seed: int, before: int, during: int, faults: int) -> None:
    """Time-outs that land late, and a worker that sends newer states meanwhile, included."""
    draw = Random(seed)
    world = World(draw, during, faults)
    world.log = [draw.choice(ENTITIES) for _ in range(before)]
    world.emptied = {offset for offset in range(before) if draw.random() < 0.2}
    scan = RangeScan()
    for offset in range(before):
        scan.meet(world.state(offset), world.decoded(offset), in_range=True)
    world.position = len(world.log)
    found = set(world.log)
    replay = _replay(scan, world)
    replay.run()
    assert replay.tracker.done == len(found)
    assert not replay.tracker.open
    assert not world.flights
    assert not world.late, "what is given up must have landed before anything is called done"
    world.end()
    newest = {entity: offset for entity, offset in world.newest().items() if offset not in world.emptied}
    sendable = found & set(newest)
    assert {entity: world.held[entity] for entity in sendable} == {entity: newest[entity] for entity in sendable}


def test_each_entity_is_sent_once_where_nothing_happens_meanwhile() -> None:
    world = World(Random(1), to_come=0, faults=0)
    world.log = ENTITIES * 5
    scan = RangeScan()
    for offset, entity in enumerate(world.log):
        scan.meet(world.state(offset), Event(entity), in_range=True)
    world.position = len(world.log)
    replay = _replay(scan, world)
    replay.run()
    world.end()
    assert replay.requests == len(ENTITIES)
    assert world.held == world.newest()
    assert replay.report().complete


def test_of_a_cart_that_was_emptied_at_last_nothing_is_sent() -> None:
    world = World(Random(1), to_come=0, faults=0)
    world.log, world.emptied = [*ENTITIES, ENTITIES[0], ENTITIES[1], ENTITIES[1]], {3, 4}
    scan = RangeScan()
    for offset in range(len(world.log)):
        scan.meet(world.state(offset), world.decoded(offset), in_range=True)
    world.position = world.sent_by_worker = len(world.log)
    replay = _replay(scan, world)
    replay.run()
    assert world.held == {ENTITIES[1]: 5, ENTITIES[2]: 2}
    report = replay.report()
    assert (report.complete, report.entities, report.emptied, report.delivered) == (True, 3, 1, 2)


def test_a_cart_that_is_emptied_while_it_waits_for_a_retry_is_done_without_it() -> None:
    world = World(Random(1), to_come=0, faults=0)
    world.log = [ENTITIES[0]]
    scan = RangeScan()
    scan.meet(world.state(0), world.decoded(0), in_range=True)
    world.position = world.sent_by_worker = 1
    replay = _replay(scan, world)
    handed_out = list(replay.tracker.feed(iter([(ENTITIES[0], world.state(0))]), Room(1, 1)))
    world.numbers.send(world.deliveries, handed_out, world.now, world.now)
    attempt = world.deliveries.take(world.now)
    assert attempt is not None
    world.deliveries.settle(attempt, FAILED, world.now)
    world.answered.append(Answer(attempt.entity, FAILED, world.now))
    world.log.append(ENTITIES[0])
    world.emptied.add(1)
    replay.run()
    report = replay.report()
    assert (world.held, report.complete, report.emptied, report.failing) == ({}, True, 1, [])


def test_a_request_in_flight_is_awaited_though_its_cart_was_changed_and_emptied_since() -> None:
    """The emptied cart drops the change, which was the newest state that had been handed out."""

    class Slow(World):
        def answer(self) -> None:
            """Comes after all else, as that of an API that takes seconds."""
            if self.now >= 1003.0:
                super().answer()

    world = Slow(Random(1), to_come=0, faults=0)
    world.log = [ENTITIES[0]]
    scan = RangeScan()
    scan.meet(world.state(0), world.decoded(0), in_range=True)
    world.position = 1
    replay = _replay(scan, world)
    handed_out = list(replay.tracker.feed(iter([(ENTITIES[0], world.state(0))]), Room(1, 1)))
    world.numbers.send(world.deliveries, handed_out, world.now, world.now)
    world.take()
    world.log += [ENTITIES[0]] * 2
    world.emptied.add(2)
    replay.run()
    report = replay.report()
    assert (world.flights, report.requests, report.complete, report.emptied) == ([], 1, True, 1)


def test_a_rejection_of_what_was_replaced_says_nothing_of_what_replaced_it() -> None:
    """Both answers may be found at once, and a rejection is heard of after a delivery."""
    world = World(Random(1), to_come=0, faults=0)
    entity, scan = ENTITIES[0], RangeScan()
    world.log = [entity, entity]
    scan.meet(world.state(0), Event(entity), in_range=True)
    tracker = _replay(scan, world).tracker
    list(tracker.feed(iter([(entity, world.state(0))]), Room(1, 1)))
    assert tracker.newer(entity, world.state(1))
    tracker.answer(entity, DELIVERED, 0.0)
    tracker.reject(entity, Refusal(world.state(0).at, "cart", "unknown_visit_id", "Unknown visit_id"))
    assert not tracker.rejected
    tracker.reject(entity, Refusal(world.state(1).at, "cart", "unknown_visit_id", "Unknown visit_id"))
    assert set(tracker.rejected) == {entity}


def test_a_report_tells_where_the_unfinished_stand() -> None:
    """From the newest record of anything that is not done: a range from there on holds all of it."""
    world = World(Random(1), to_come=0, faults=0)
    world.log = [*ENTITIES, *ENTITIES]
    scan = RangeScan()
    for offset, entity in enumerate(world.log):
        scan.meet(world.state(offset), Event(entity), in_range=True)
    replay = _replay(scan, world)
    while not replay.tracker.open:
        list(replay.tracker.feed(replay.feed.found(), Room(1, 1)))
    report = replay.report()
    assert (report.unsent, report.unchecked, report.delivered) == (2, 1, 0)
    assert report.open_in == {P0: (3, 6)}
    assert not report.complete


def test_what_was_deleted_after_the_first_pass_is_said_to_be_unsent() -> None:
    """Retention may take the newest record of an entity: the replay ends, and is not complete."""
    world = World(Random(1), to_come=0, faults=0)
    world.log = ENTITIES * 2
    scan = RangeScan()
    for offset, entity in enumerate(world.log):
        scan.meet(world.state(offset), Event(entity), in_range=True)
    world.position = len(world.log)
    replay = _replay(scan, world)
    world.deleted = {4}
    replay.run()
    report = replay.report()
    assert (report.delivered, report.unsent, report.complete) == (2, 1, False)


def test_what_is_open_stays_within_its_bytes() -> None:
    """Whatever the size of the events: one is always let in."""
    world = World(Random(1), to_come=0, faults=0)
    scan = RangeScan()
    states = [replace(world.state(offset), value=b"x" * 100) for offset in range(3)]
    for entity, state in zip(ENTITIES, states, strict=True):
        scan.meet(state, Event(entity), in_range=True)
    tracker = _replay(scan, world).tracker
    found = iter(zip(ENTITIES, states, strict=True))
    assert [entity for entity, _ in tracker.feed(found, Room(9, 150))] == ENTITIES[:2]
    tracker.answer(ENTITIES[0], DELIVERED, 0.0)
    tracker.settle(ENTITIES[0])
    tracker.checked(tracker.to_check(0.0))
    assert [entity for entity, _ in tracker.feed(found, Room(9, 150))] == ENTITIES[2:]


def _replay(scan: RangeScan, world: World) -> LiveReplay:
    stand_in: Any = world
    feed = Feed(Again(world), {P0: 0})
    return LiveReplay(scan, stand_in, feed, stand_in, stand_in, Room(2, 1000), {P0: len(world.log)})
