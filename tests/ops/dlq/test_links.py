"""An inherited link to a call: a letter names it, and the copy that a redrive writes brings it back to the worker."""

from collections.abc import Mapping

import pytest

from tests.core.support import P0, REJECTED, A, box
from worker.adapters.kafka.dead_letters import DeadLetterTopic
from worker.core.event import Event, Invalid, Skipped
from worker.core.letters import Letter
from worker.engine.redriven import take_over_links
from worker.ops.dlq.copies import copy_of
from worker.ops.dlq.letter import DeadLetter
from worker.ports import Content
from worker.settings import Kafka

HEADERS = (("trace", b"1"),)


class Read:
    """A record as the client hands it out."""

    def __init__(self, headers: tuple[tuple[str, bytes], ...]) -> None:
        self.offset, self.timestamp, self.key, self.value, self.headers = 5, 1000, b"cart:a", b"{}", headers


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


def test_the_copy_of_a_letter_has_its_inherited_link() -> None:
    record = Read(tuple(headers(letter(call_id="7")).items()))
    copy = copy_of(DeadLetter.of(P0, record), record)
    assert dict(copy.headers)["dlq.call_id"] == b"7"
    decoded: list[Event | Skipped | Invalid] = [Event(A)]
    take_over_links([Read(copy.headers)], decoded)
    assert decoded == [Event(A, call_id="7", agent="Zoé")]


def test_a_redriven_event_that_is_rejected_again_keeps_its_link() -> None:
    made = box(dead_letters=True)
    made.add(A, call_id="7")
    attempt = made.next()
    attempt.event.payload = Content(b"{}", b"cart:a", (("dlq.call_id", b"7"),), 1000)
    made.settle(attempt, REJECTED)
    (found,) = made.deliveries.letters.take(made.now, 1)
    assert headers(found)["dlq.call_id"] == b"7"


def test_what_a_record_says_counts_before_its_headers() -> None:
    decoded: list[Event | Skipped | Invalid] = [Event(A, call_id="8")]
    take_over_links([Read((("dlq.call_id", b"7"), ("dlq.agent", b"Zoe")))], decoded)
    assert decoded == [Event(A, call_id="8", agent="Zoe")]


@pytest.mark.parametrize("call_id", [b"abc", b"7&key=other", b"", b"0", b"7.5", b"\xff", b"9" * 5000])
def test_a_header_that_is_no_call_id_is_left_out(call_id: bytes) -> None:
    """Anybody who writes to the topic can set it, and it becomes part of the request as it is."""
    decoded: list[Event | Skipped | Invalid] = [Event(A)]
    take_over_links([Read((("dlq.call_id", call_id), ("dlq.agent", b"Zoe")))], decoded)
    assert decoded == [Event(A, agent="Zoe")]
