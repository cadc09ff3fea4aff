"""A batch that comes in collapsed leaves the delivery queue as if each record had come in alone."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import P0, A, B, Box, C, box
from worker.core.batch import collapse
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity, Event, Invalid, Skipped

ORDER = Entity("order", "a")
SKIPPED = Skipped("tombstone")
EMPTIED = [Skipped("empty_products", "cart", entity) for entity in (A, B)]
INVALID = Invalid("invalid_event", "cart", "id", "a string", "a")
LINKED = [Event(A, call_id="7"), Event(A, agent="Zoe"), Event(A, call_id="8"), Event(B, call_id="9")]
RECORDS = st.one_of(
    st.sampled_from([A, B, C, ORDER]).map(Event),
    st.sampled_from(LINKED),
    st.sampled_from([SKIPPED, *EMPTIED]),
    st.just(INVALID),
)

One = Event | Skipped | Invalid


def take_in(made: Box, at: int, one: One) -> None:
    made.positions[P0] = at
    if isinstance(one, Event):
        made.add(one.entity, call_id=one.call_id, agent=one.agent)
    elif isinstance(one, Skipped):
        made.skip(skipped=one)
    else:
        made.refuse()


def one_by_one(batches: list[list[One]]) -> Box:
    made = box()
    for at, one in enumerate(one for batch in batches for one in batch):
        take_in(made, at, one)
    return made


def collapsed(batches: list[list[One]]) -> Box:
    made, start = box(), 0
    for batch in batches:
        kept, overtaken, *_ = collapse(batch)
        for kind, events in overtaken.items():
            assert made.deliveries.overtaken(P0, kind, events)
        for at in kept:
            take_in(made, start + at, batch[at])
        start += len(batch)
    return made


def sent(deliveries: DeliveryQueue) -> Iterator[tuple[Entity, int, str]]:
    while (attempt := deliveries.take(1e6)) is not None:
        yield attempt.entity, attempt.event.offset, str(attempt.event.link and attempt.event.link.texts)


def test_the_newest_of_each_entity_is_kept_in_log_order() -> None:
    events = [Event(entity) for entity in (A, B, A, ORDER, B, C)]
    kept, overtaken, *_ = collapse([*events[:3], INVALID, *events[3:], SKIPPED])
    assert kept == [2, 3, 4, 5, 6, 7]
    assert overtaken == {"cart": 2}


def test_an_emptied_cart_takes_the_older_events_of_its_entity_with_it_and_no_newer_one() -> None:
    events = [Event(entity) for entity in (A, B, A, A)]
    kept, overtaken, *_ = collapse([*events[:3], EMPTIED[0], SKIPPED, INVALID])
    assert (kept, overtaken) == ([1, 3, 4, 5], {"cart": 2})
    kept, overtaken, *_ = collapse([*events[:3], EMPTIED[0], events[3]])
    assert (kept, overtaken) == ([1, 3, 4], {"cart": 2})


def test_an_event_with_a_link_to_a_call_is_left_to_the_outbox_which_hands_it_on() -> None:
    kept, overtaken, events, calls = collapse([LINKED[0], Event(A), Event(A), Event(B), LINKED[3], LINKED[3]])
    assert (kept, overtaken, events, calls) == ([0, 2, 4, 5], {"cart": 2}, 6, 3)


def test_nothing_in_nothing_out() -> None:
    assert collapse([]) == ([], {}, 0, 0)


@given(st.lists(st.lists(RECORDS, max_size=12), max_size=4))
def test_a_collapsed_batch_leaves_what_single_records_would(batches: list[list[One]]) -> None:
    alone, together = one_by_one(batches), collapsed(batches)
    assert together.deliveries.counts == alone.deliveries.counts
    assert together.deliveries.committable() == alone.deliveries.committable()
    assert together.deliveries.pending == alone.deliveries.pending
    assert together.deliveries.pending_bytes == alone.deliveries.pending_bytes
    assert sorted(sent(together.deliveries)) == sorted(sent(alone.deliveries))


def test_what_is_overtaken_in_a_partition_of_others_is_not_counted() -> None:
    made = box()
    made.lose(P0)
    before = made.deliveries.counts.copy()
    assert not made.deliveries.overtaken(P0, "cart", 3)
    assert made.deliveries.counts == before
