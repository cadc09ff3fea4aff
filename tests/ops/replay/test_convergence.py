"""However requests, answers and newer events interleave, no entity ends older than the topic."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.replay.world import ENTITIES, FAILED, P0, World
from worker.core.event import Event
from worker.core.outcome import DELIVERED
from worker.ops.replay.alongside import Alongside
from worker.ops.replay.dispatch import Answer
from worker.ops.replay.survey import Refusal, Survey


@given(seed=st.integers(0, 2**32), before=st.integers(1, 8), during=st.integers(0, 12), faults=st.integers(0, 8))
@settings(deadline=None, max_examples=400)
def test_no_entity_ends_older_than_the_topic(seed: int, before: int, during: int, faults: int) -> None:
    """Time-outs that land late, and a worker that sends newer states meanwhile, included."""
    draw = Random(seed)
    world = World(draw, during, faults)
    world.log = [draw.choice(ENTITIES) for _ in range(before)]
    world.emptied = {offset for offset in range(before) if draw.random() < 0.2}
    survey = Survey()
    for offset in range(before):
        survey.meet(world.state(offset), world.decoded(offset), in_range=True)
    world.position = len(world.log)
    found = set(survey.newest)
    replay = _replay(survey, world)
    replay.run()
    assert replay.course.done == len(found)
    assert not replay.course.open
    assert not world.flights
    assert not world.late, "what is given up must have landed before anything is called done"
    world.end()
    newest = {entity: offset for entity, offset in world.newest().items() if offset not in world.emptied}
    sendable = found & set(newest)
    assert {entity: world.held[entity] for entity in sendable} == {entity: newest[entity] for entity in sendable}


def test_each_entity_is_sent_once_where_nothing_happens_meanwhile() -> None:
    world = World(Random(1), to_come=0, faults=0)
    world.log = ENTITIES * 5
    survey = Survey()
    for offset, entity in enumerate(world.log):
        survey.meet(world.state(offset), Event(entity, None, 1), in_range=True)
    world.position = len(world.log)
    replay = _replay(survey, world)
    replay.run()
    world.end()
    assert replay.requests == len(ENTITIES)
    assert world.held == world.newest()
    assert replay.report().complete


def test_of_a_cart_that_was_emptied_at_last_nothing_is_sent() -> None:
    world = World(Random(1), to_come=0, faults=0)
    world.log, world.emptied = [*ENTITIES, ENTITIES[0], ENTITIES[1], ENTITIES[1]], {3, 4}
    survey = Survey()
    for offset in range(len(world.log)):
        survey.meet(world.state(offset), world.decoded(offset), in_range=True)
    world.position = world.sent_by_worker = len(world.log)
    replay = _replay(survey, world)
    replay.run()
    assert world.held == {ENTITIES[1]: 5, ENTITIES[2]: 2}
    report = replay.report()
    assert (report.complete, report.entities, report.emptied, report.delivered) == (True, 3, 1, 2)


def test_a_cart_that_is_emptied_while_it_waits_for_a_retry_is_done_without_it() -> None:
    world = World(Random(1), to_come=0, faults=0)
    world.log = [ENTITIES[0]]
    survey = Survey()
    survey.meet(world.state(0), world.decoded(0), in_range=True)
    world.position = world.sent_by_worker = 1
    replay = _replay(survey, world)
    for entity, state in replay.course.feed(1):
        world.numbers.send(world.outbox, [(entity, state)], world.now)
    delivery = world.outbox.take(world.now)
    assert delivery is not None
    world.outbox.settle(delivery, FAILED, world.now)
    world.answered.append(Answer(delivery.entity, FAILED, world.now))
    world.log.append(ENTITIES[0])
    world.emptied.add(1)
    replay.run()
    report = replay.report()
    assert (world.held, report.complete, report.emptied, report.failing) == ({}, True, 1, [])


def test_a_rejection_of_what_was_replaced_says_nothing_of_what_replaced_it() -> None:
    """Both answers may be found at once, and a rejection is heard of after a delivery."""
    world = World(Random(1), to_come=0, faults=0)
    entity, survey = ENTITIES[0], Survey()
    world.log = [entity, entity]
    survey.meet(world.state(0), Event(entity, None, 1), in_range=True)
    course = _replay(survey, world).course
    list(course.feed(1))
    assert course.newer(entity, world.state(1))
    course.answer(entity, DELIVERED, 0.0)
    course.reject(entity, Refusal(world.state(0).at, "cart", "unknown_visit_id", "Unknown visit_id"))
    assert not course.rejected
    course.reject(entity, Refusal(world.state(1).at, "cart", "unknown_visit_id", "Unknown visit_id"))
    assert set(course.rejected) == {entity}


def test_a_report_tells_where_the_unfinished_stand() -> None:
    """The first record, in the range, of anything that is not done: a range from there on holds all of it."""
    world = World(Random(1), to_come=0, faults=0)
    survey = Survey()
    for offset, entity in enumerate([*ENTITIES, *ENTITIES]):
        survey.meet(world.state(offset), Event(entity, None, 1), in_range=True)
    replay = _replay(survey, world)
    list(replay.course.feed(1))
    replay.course.untried.clear()
    report = replay.report()
    assert (report.unsent, report.unchecked, report.delivered) == (2, 1, 0)
    assert report.open_at == {P0: 0}
    assert not report.complete


def _replay(survey: Survey, world: World) -> Alongside:
    stand_in: Any = world
    return Alongside(survey, stand_in, stand_in, stand_in, room=2)
