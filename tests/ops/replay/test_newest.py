"""The table of newest states beside a dictionary that holds everything."""

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.event import Entity
from worker.core.state import RecordPosition
from worker.ops.replay.newest import Newest
from worker.ops.replay.range_scan import State

entities = st.sampled_from([Entity(kind, name) for kind in ("cart", "order") for name in ("", "1", "é", "\ud83c")])
records = st.tuples(entities, st.integers(0, 1), st.integers(-1, 5))
steps = st.lists(st.tuples(st.sampled_from(["put", "renew", "take"]), records), max_size=40)


@settings(deadline=None)
@given(steps)
def test_it_answers_as_a_dictionary_of_states_would(steps: list[tuple[str, tuple[Entity, int, int]]]) -> None:
    newest, model, taken = Newest(), dict[Entity, State](), set[Entity]()
    for offset, (step, (entity, partition, timestamp)) in enumerate(steps):
        state = State(RecordPosition("carts", partition, offset), max(timestamp, 0), b"")
        known = model.get(entity)
        newer = known is not None and entity not in taken and state.newer_than(known)
        if step == "take":
            assert newest.take(entity, state.at) is False
            at = newest.at(entity)
            if at is not None:
                assert newest.take(entity, at)
                taken.add(entity)
        elif step == "renew":
            assert newest.renew(entity, state.at, timestamp) == newer
            if newer:
                model[entity] = state
        else:
            newest.put(entity, state.at, timestamp)
            if known is None or newer:
                model[entity] = state
        assert (newest.total, newest.waiting) == (len(model), len(model) - len(taken))
    for entity, state in model.items():
        assert newest.at(entity) == (None if entity in taken else state.at)


def test_it_finds_each_of_many_and_none_else() -> None:
    newest, many = Newest(), 20_000
    for number in range(many):
        newest.put(Entity("cart", str(number)), RecordPosition("carts", number % 7, number), number)
    assert newest.waiting == many
    for number in range(many):
        assert newest.at(Entity("order", str(number))) is None
        assert newest.take(Entity("cart", str(number)), RecordPosition("carts", number % 7, number))
    assert newest.waiting == 0
