"""A live replay hands on links to calls within its range, as the worker does where it collapses."""

from worker.core.event import Entity
from worker.core.state import RecordPosition
from worker.ops.replay.links import Links
from worker.ops.replay.newest import Newest
from worker.ops.replay.range_scan import State
from worker.ops.replay.tracker import ReplayTracker, Room

CART = Entity("cart", "42")
DAY = 86_400_000


def state(offset: int, *, at: int = 0, partition: int = 0, emptied: bool = False, call_id: str | None = None) -> State:
    return State(RecordPosition("carts", partition, offset), at, b"{}", emptied, call_id)


def sent(*states: State) -> State:
    """The newest of these, as it is handed out."""
    newest = Newest()
    for each in states:
        newest.put(CART, each.at, each.timestamp)
    ((entity, found),) = ReplayTracker(newest).feed(iter([(CART, each) for each in states]), Room(10, 1000))
    assert entity == CART
    return found


def test_a_replayed_state_inherits_a_link_of_the_range() -> None:
    found = sent(state(0, call_id="7"), state(1), state(2))
    assert (found.at.offset, found.call_id) == (2, "7")


def test_its_own_link_counts_first() -> None:
    assert sent(state(0, call_id="7"), state(1, call_id="8")).call_id == "8"


def test_a_link_of_more_than_a_day_before_is_not_inherited() -> None:
    assert sent(state(0, call_id="7"), state(1, at=DAY)).call_id == "7"
    assert sent(state(0, call_id="7"), state(1, at=DAY + 1)).call_id is None


def test_an_emptied_cart_ends_what_is_handed_on() -> None:
    assert sent(state(0, call_id="7"), state(1, emptied=True), state(2)).call_id is None


def test_a_link_stays_in_its_partition() -> None:
    assert sent(state(0, call_id="7"), state(0, at=5, partition=1)).call_id is None


def test_what_is_held_of_links_is_bounded_and_given_back() -> None:
    links = Links(most=10)
    for number in range(100):
        links.meet(Entity("cart", str(number)), state(number, call_id="7"))
    assert len(links._links) == 10
    assert links.hand_on(Entity("cart", "99"), state(100)).call_id == "7"
    assert len(links._links) == 9
