"""An inherited link to a call: a letter names it, and a redrive sends it."""

import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.brokers.tools import Record
from tests.core.support import REJECTED, A, box
from tests.integration.events import cart
from tests.ops.dlq.conftest import Post
from worker.adapters.kafka.dead_letters import DeadLetterTopic
from worker.core.letters import Letter
from worker.ports import Content
from worker.settings import Kafka

HEADERS = (("trace", b"1"),)


def letter(*, call_id: str | None, newer_call_id: str | None = None) -> Letter:
    """That of an event which replaced one with this call id."""
    made = box(dead_letters=True)
    made.add(A, call_id=call_id, agent="Zoé")
    made.add(A, call_id=newer_call_id)
    attempt = made.next()
    attempt.event.payload = Content(b"{}", b"cart:a", HEADERS, 1000)
    made.settle(attempt, REJECTED)
    (found,) = made.deliveries.letters.take(made.now, 1)
    return found


def headers(of: Letter) -> Mapping[str, bytes]:
    topic = DeadLetterTopic(Kafka(bootstrap_servers="localhost:1", topics="carts"), "letters", lambda text: text)
    return dict(topic._headers(of, of.event.payload))


def test_a_letter_names_the_link_that_its_event_inherited() -> None:
    said = headers(letter(call_id="7"))
    assert (said["dlq.call_id"], said["dlq.agent"].decode()) == (b"7", "Zoé")


def test_what_the_record_says_itself_is_in_no_header() -> None:
    said = headers(letter(call_id=None, newer_call_id="8"))
    assert "dlq.call_id" not in said
    assert said["dlq.agent"].decode() == "Zoé"


def linked(post: Post) -> dict[str, tuple[object, object]]:
    """The call id and the agent that the API was last told, for each cart."""
    return {record.id: (record.params.get("call_id"), record.params.get("agent")) for record in post.api.records()}


def written(record: Record, seconds_ago: float) -> Record:
    return replace(record, timestamp=int((time.time() - seconds_ago) * 1000))


def test_a_redrive_sends_the_inherited_link_of_a_letter(post: Post) -> None:
    """What the value says itself counts first."""
    post.reject(post.write([cart("1")]), call_id=7, agent="Zoe")
    post.reject(post.write([cart("2", call_id=8)]), call_id=7, agent="Zoe")
    post.reject(post.write([cart("3", call_id=8)]), agent="Zoe")

    post.execute()

    assert linked(post) == {"1": ("7", "Zoe"), "2": ("8", None), "3": ("8", "Zoe")}


def test_a_newer_state_takes_over_the_link_of_the_letter_that_it_supersedes(post: Post) -> None:
    """Both what the letter inherited and what its own value says; not for more than a day."""
    day = 86_400
    old = [cart("1"), cart("2", agent="Max"), cart("3"), cart("4")]
    records = post.write([written(record, 2 * day) for record in old])
    post.reject(records, call_id=7)
    fresh = [written(cart(id_, 2), 1.5 * day) for id_ in "12"]
    post.write([*fresh, written(cart("3", 2), 0), written(cart("4", 2, call_id=9), 1.5 * day)])

    assert set(post.execute().values()) == {"superseded"}

    assert linked(post) == {"1": ("7", None), "2": ("7", "Max"), "3": (None, None), "4": ("9", None)}


def test_a_link_is_sent_with_the_value_of_a_letter_whose_record_is_gone(post: Post) -> None:
    post.reject(post.write([cart("1"), cart("2")])[:1], call_id=7)
    post.delete_before(1)

    post.execute("--accept-stale")

    assert linked(post) == {"1": ("7", None)}


@pytest.mark.parametrize("call_id", ["abc", "7&key=other", "", "0", "7.5", "9" * 5000])
def test_a_header_that_is_no_call_id_is_left_out(post: Post, call_id: str) -> None:
    """Anybody who writes to the topic can set it, and it becomes part of the request as it is."""
    post.reject(post.write([cart("1")]), call_id=call_id, agent="Zoe")

    post.execute()

    assert linked(post) == {"1": (None, "Zoe")}
