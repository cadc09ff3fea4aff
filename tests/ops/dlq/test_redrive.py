"""What a redrive makes of letters, by what the log holds after them, on a real Kafka and the sandbox."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.brokers.tools import Record, end_offsets, produce, read_all, start_offsets, wait_until
from tests.conftest import TopicFactory
from tests.integration.events import cart, order
from tests.integration.process import KEY
from tests.ops.dlq.conftest import Post, Transaction
from tests.ops.program import optico
from worker.ops import dlq, transactions

OLD, NEW = cart("1", 1), cart("1", 2)
EMPTIED = Record(b"cart:1", json.dumps(json.loads(OLD.value or b"") | {"products": []}).encode())


def test_a_dry_run_says_what_it_would_send_and_sends_nothing(post: Post) -> None:
    post.reject(post.write([OLD, cart("2")]))

    answer = optico("dlq", "redrive", variables=post.variables)

    assert (answer.code, [row["outcome"] for row in answer.rows]) == (0, ["send", "send"])
    assert answer.err.endswith("2 to send; nothing was sent: --execute does it\n")
    assert post.requested() == []


def test_the_record_of_a_letter_is_delivered_and_nothing_is_written_to_kafka(post: Post) -> None:
    post.reject(post.write([OLD, order("1")]))
    before = post.ends(), end_offsets(post.bootstrap, post.letters)

    answer = optico("dlq", "redrive", "--execute", variables=post.variables)

    assert (answer.code, [row["outcome"] for row in answer.rows]) == (0, ["sent", "sent"])
    assert answer.err.endswith("2 sent\n")
    assert sorted((request.kind, str(request.id)) for request in post.api.requests()) == [("cart", "1"), ("order", "1")]
    assert (post.ends(), end_offsets(post.bootstrap, post.letters)) == before


def test_a_repeat_is_safe_and_sends_the_same_states(post: Post) -> None:
    post.reject(post.write([OLD, cart("2", 5), cart("2", 6)]))

    outcomes = {"0": "sent", "1": "superseded", "2": "sent"}
    assert post.execute() == outcomes
    assert post.execute() == outcomes
    assert post.held() == {"1": 1, "2": 6}
    assert sorted(post.requested()) == sorted([("1", 1), ("2", 6)] * 2)


def test_the_newest_later_record_is_sent_in_place_of_the_letter(post: Post) -> None:
    post.reject(post.write([OLD, order("1")]))
    post.write([cart("1", 7), NEW])

    lines = post.dlq("redrive", "--execute", "--json").json_lines

    found = {line["entity"]: (line["outcome"], line["superseded_by"]) for line in lines}
    assert found == {"cart": ("superseded", f"{post.topic}:0:3"), "order": ("sent", None)}
    assert sorted(post.requested()) == [("1", 1), ("1", 2)]


@pytest.mark.parametrize(
    "later",
    [
        Record(b"cart:1", None),
        Record(b"cart:1", b"{"),
        Record(b"cart:1", json.dumps({"type": "cart", "id": "1", "visit_id": "v"}).encode()),
        cart("1", 3, visit_id=None),
    ],
    ids=["tombstone", "malformed", "invalid", "no visit"],
)
def test_a_later_record_that_can_not_be_sent_does_not_count(post: Post, later: Record) -> None:
    post.reject(post.write([OLD]))
    post.write([later])

    assert post.execute() == {"0": "sent"}
    assert post.held() == {"1": 1}


def test_a_cart_that_was_emptied_since_is_not_sent(post: Post) -> None:
    post.reject(post.write([OLD]))
    post.write([NEW, EMPTIED])

    assert post.execute() == {"0": "superseded"}
    assert post.requested() == []


def test_an_emptied_cart_that_has_a_name_is_sent_as_any_other(post: Post) -> None:
    post.reject(post.write([OLD]))
    post.write([EMPTIED])

    assert post.execute(WORKER_EMPTIED_CART_NAME="empty") == {"0": "superseded"}
    (request,) = post.api.requests()
    assert request.params["products"][0]["name"] == "empty"


def test_where_the_newer_state_has_expired_from_the_log_the_letter_is_refused(post: Post) -> None:
    """Also where other records are left; --accept-stale sends the letter's value, and names the cart."""
    post.reject(post.write([OLD, NEW, cart("2")])[:1])
    post.delete_before(2)

    refused = post.dlq("redrive", "--execute")
    assert refused.code == 1
    assert [row["outcome"] for row in refused.rows] == ["refused"]
    assert "nobody knows what was delivered since" in refused.rows[0]["detail"]
    assert post.requested() == []

    accepted = post.dlq("redrive", "--execute", "--accept-stale")
    assert (accepted.code, [row["outcome"] for row in accepted.rows]) == (0, ["sent"])
    assert "cart:1: its record is gone" in accepted.err
    assert post.held() == {"1": 1}


def test_what_is_left_of_an_entity_after_an_expired_record_is_sent(post: Post) -> None:
    """The log still holds everything after it."""
    post.reject(post.write([OLD, NEW, cart("1", 3)])[:1])
    post.delete_before(2)

    assert post.execute() == {"0": "superseded"}
    assert post.held() == {"1": 3}


def test_accept_stale_changes_nothing_for_letters_whose_record_is_there(post: Post) -> None:
    post.reject(post.write([OLD, cart("2")]))
    post.write([NEW])

    assert post.execute("--accept-stale") == {"0": "superseded", "1": "sent"}
    assert post.held() == {"1": 2, "2": 1}


def test_a_newer_state_that_is_known_by_a_letter_only_wins(post: Post) -> None:
    """Also where that letter was not chosen: the older one is refused then."""
    old, new = post.write([OLD, NEW])
    post.reject([old], reason="other_error")
    post.reject([new])
    post.delete_before(2)

    assert post.execute(code=1) == {"0": "refused", "1": "refused"}
    assert post.execute("--reason", "other_error", "--accept-stale", code=1) == {"0": "refused"}
    assert post.requested() == []
    assert post.execute("--accept-stale") == {"0": "superseded", "1": "sent"}
    assert post.held() == {"1": 2}


@pytest.fixture
def compacted(topic: TopicFactory, post: Post) -> Post:
    """With a topic that is compacted within a second or two."""
    quickly: dict[str, Any] = {"segment_ms": "100", "max_compaction_lag_ms": "1000", "delete_retention_ms": "0"}
    return replace(post, topic=topic(cleanup_policy="compact", min_cleanable_dirty_ratio="0.001", **quickly))


def _compact(post: Post, until: int) -> None:
    """Writes on, as only segments that are full are compacted, until so many records of the cart are left."""

    def done() -> bool:
        post.write([cart("other")])
        return sum(record.key == b"cart:1" for record in read_all(post.bootstrap, post.topic)) == until

    wait_until(done, "the compaction", 60)


def test_where_the_newer_state_was_compacted_away_the_letter_is_refused(compacted: Post) -> None:
    """A tombstone took both, and then itself."""
    post = compacted
    post.reject(post.write([OLD]))
    post.write([NEW, Record(b"cart:1", None)])
    _compact(post, until=0)
    assert start_offsets(post.bootstrap, post.topic) == {0: 0}, "or it has expired"

    assert post.execute(code=1) == {"0": "refused"}
    assert post.requested() == []


def test_a_newer_state_in_another_partition_wins(post: Post) -> None:
    """Partitions were added. A record that is not older is later there."""
    (old, *others) = post.write([OLD, cart("2"), cart("3")])
    post.reject([old, *others])
    post.add_partition()
    assert old.timestamp is not None
    produce(post.bootstrap, post.topic, [replace(cart("3", 2), partition=1, timestamp=old.timestamp - 60_000)])
    produce(post.bootstrap, post.topic, [replace(NEW, partition=1, timestamp=old.timestamp)])
    produce(post.bootstrap, post.topic, [replace(cart("2", 2), partition=1)])

    assert post.execute() == {"0": "superseded", "1": "superseded", "2": "sent"}
    assert post.held() == {"1": 2, "2": 2, "3": 1}


def test_letters_of_a_topic_that_was_created_anew_are_refused(post: Post) -> None:
    """Other records are at their offsets, or none; what is newer may be at a lower offset."""
    (newer, other) = post.write([NEW, cart("2")])
    post.reject([replace(newer, value=OLD.value, offset=500)])
    post.reject([replace(other, timestamp=1)])
    post.reject([replace(other, key=b"another")], entity="cart", id="2")

    answer = post.dlq("redrive", "--execute", "--json")

    assert answer.code == 1
    assert [line["outcome"] for line in answer.json_lines] == ["refused"] * 3
    assert all("created anew" in line["detail"] for line in answer.json_lines)
    assert post.requested() == []


def test_what_is_in_another_partition_of_a_topic_that_was_created_anew_may_be_old(post: Post) -> None:
    (newest,) = post.write([cart("1", 3)])
    post.add_partition()
    produce(post.bootstrap, post.topic, [replace(NEW, partition=1, timestamp=(newest.timestamp or 0) - 1000)])
    post.reject([replace(newest, value=OLD.value, offset=500, timestamp=(newest.timestamp or 0) - 2000)])

    assert post.execute(code=1) == {"0": "refused"}
    assert post.requested() == []


def test_what_comes_to_a_topic_that_was_created_anew_is_newer_than_a_letter(post: Post) -> None:
    """Its offset is lower. A redrive that accepts stale states sends it after the letter's."""
    post.reject([replace(OLD, offset=500, timestamp=1, partition=0)])
    post.api.set_faults([{"id": "1", "count": 1, "latency": {"p50": 1500, "p99": 1501}}])

    with _written_at_the_first_request(post, NEW):
        assert post.execute("--accept-stale") == {"0": "superseded"}
    assert post.requested() == [("1", 1), ("1", 2)]


def test_a_truncated_letter_is_delivered_as_its_record_while_that_is_there(post: Post) -> None:
    post.reject(post.write([OLD, cart("2", 5), cart("3", 6)]), truncated=True)
    post.write([cart("3", 7)])
    post.delete_before(1)

    assert post.execute("--accept-stale", code=1) == {"0": "refused", "1": "sent", "2": "superseded"}
    assert post.held() == {"2": 5, "3": 7}


def test_a_truncated_letter_may_lack_the_key_of_its_record(post: Post) -> None:
    (written,) = post.write([OLD])
    letter = post.letter(replace(written, key=None), truncated=True, entity="cart", id="1")
    produce(post.bootstrap, post.letters, [letter])

    assert post.execute() == {"0": "sent"}


def test_a_truncated_letter_is_not_delivered_as_another_record(post: Post) -> None:
    (written,) = post.write([OLD])
    produce(post.bootstrap, post.letters, [post.letter(replace(written, key=b"cart:9"), truncated=True, id="1")])
    produce(post.bootstrap, post.letters, [post.letter(replace(written, timestamp=1), truncated=True)])

    assert post.execute(code=1) == {"0": "refused", "1": "refused"}
    assert post.requested() == []


def test_a_truncated_letter_whose_record_is_no_valid_event_is_invalid(post: Post) -> None:
    post.reject(post.write([cart("1", products="none")]), truncated=True)

    (line,) = post.dlq("redrive", "--execute", "--json").json_lines

    assert (line["outcome"], line["detail"]) == ("invalid", "products: expected an array")


def test_an_invalid_letter_is_not_sent_and_says_why(post: Post) -> None:
    """Unless its cart has a later state: then that is sent."""
    post.reject(post.write([cart("1", products="none"), cart("2", currency="euros"), Record(None, b"{")]))
    post.write([cart("2", 2)])

    answer = post.dlq("redrive", "--execute", "--json")

    assert answer.code == 0
    found = {line["letter"][-1]: (line["outcome"], line["invalid"] is not None) for line in answer.json_lines}
    assert found == {"0": ("invalid", True), "1": ("superseded", True), "2": ("invalid", True)}
    assert post.held() == {"2": 2}


def test_letters_are_refused_once_their_prefix_was_changed(post: Post) -> None:
    post.reject(post.write([OLD]))

    answer = post.dlq("redrive", "--execute", WORKER_ID_PREFIXES=f"{post.topic}=fr-")

    assert (answer.code, [row["outcome"] for row in answer.rows]) == (1, ["refused"])
    assert "would be sent as cart:fr-1" in answer.rows[0]["detail"]
    assert post.requested() == []


def test_letters_of_a_topic_with_a_prefix_are_delivered_and_chosen_by_the_prefixed_id(post: Post) -> None:
    post.reject(post.write([OLD, cart("2")])[:1], id="fr-1")

    assert post.execute("--id", "cart:fr-1", WORKER_ID_PREFIXES=f"{post.topic}=fr-") == {"0": "sent"}
    assert post.held() == {"fr-1": 1}


def test_an_open_transaction_is_waited_for(post: Post, other: Transaction, monkeypatch: pytest.MonkeyPatch) -> None:
    post.reject(post.write([OLD]))
    other.write(NEW)
    monkeypatch.setattr(transactions, "_pause", other.commit_at_the_first_pause)

    assert post.execute() == {"0": "superseded"}
    assert other.pauses >= 1
    assert post.held() == {"1": 2}


def test_a_transaction_that_stays_open_refuses_letters(
    post: Post, other: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([OLD]))
    other.write(NEW)
    monkeypatch.setattr(transactions, "PATIENCE", 0)

    answer = post.dlq("redrive", "--execute", "--accept-stale")

    assert (answer.code, [row["outcome"] for row in answer.rows]) == (1, ["refused"])
    assert f"an open transaction on {post.topic}" in answer.rows[0]["detail"]
    assert post.requested() == []


def test_a_letter_that_was_written_twice_is_one(post: Post) -> None:
    written = post.write([OLD])
    post.reject(written)
    post.reject(written)

    (line,) = post.dlq("redrive", "--execute", "--json").json_lines

    assert (line["outcome"], line["letters"]) == ("sent", 2)
    assert post.requested() == [("1", 1)]


def test_letters_are_chosen_by_position_record_id_or_reason(post: Post) -> None:
    post.reject(post.write([OLD, cart("2"), order("2"), cart("3")]))
    post.reject(post.write([cart("4")]), reason="other_error")

    assert post.redrive(f"{post.letters}:0:1", f"{post.topic}-0-3") == [("1", "send"), ("3", "send")]
    assert post.redrive("--id", "2") == [("1", "send"), ("2", "send")]
    assert post.redrive("--id", "order:2") == [("2", "send")]
    assert post.redrive("--reason", "other_error") == [("4", "send")]
    assert post.redrive("--since", "2030-01-01T00:00:00Z") == []


def test_what_can_not_be_looked_up_is_refused_in_words(post: Post) -> None:
    stranger = cart("9")
    elsewhere = post.letter(replace(OLD, timestamp=1, partition=0, offset=0), topic=post.letters)
    nowhere = post.letter(replace(OLD, timestamp=1, partition=0, offset=0), topic="nowhere-carts")
    beyond = post.letter(replace(OLD, timestamp=1, partition=7, offset=0))
    nameless = post.letter(Record(None, b"", (), 1, 0, 0), truncated=True)
    produce(post.bootstrap, post.letters, [stranger, elsewhere, nowhere, beyond, nameless])

    answer = post.dlq("redrive", "--execute")

    assert answer.code == 1
    details = {row["letter"][-1]: (row["outcome"], row["detail"]) for row in answer.rows}
    assert details == {
        "0": ("refused", "its headers don't say which record it is of"),
        "1": ("refused", f"topic {post.letters} is none of KAFKA_TOPICS"),
        "2": ("refused", "topic nowhere-carts is none of KAFKA_TOPICS"),
        "3": ("refused", f"topic {post.topic} has no partition 7"),
        "4": ("refused", "it is truncated, and its headers name no cart or order"),
    }


def test_what_the_api_rejects_fails_and_its_answer_is_printed_without_the_key(post: Post) -> None:
    post.reject(post.write([OLD, cart("2"), cart("3")]))
    post.write([cart("3", 2)])
    post.api.set_faults([{"id": id_, "envelope": f"No domain for {KEY}"} for id_ in ("1", "3")])

    answer = post.dlq("redrive", "--execute")

    assert answer.code == 1
    assert {row["entity"]: row["outcome"] for row in answer.rows} == {
        "cart:1": "failed",
        "cart:2": "sent",
        "cart:3": "failed",
    }
    assert "No domain for ***" in answer.out
    assert f"{post.topic}:0:3 is newer" in answer.out
    assert KEY not in answer.out + answer.err


def test_a_record_that_is_deleted_before_it_is_sent_fails(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.reject(post.write([OLD, cart("2")]))
    module = sys.modules[dlq.redrive.__module__]
    deliver = module.deliver

    def late(*arguments: Any) -> Any:
        post.delete_before(1)
        return deliver(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "deliver", late)
        assert post.execute(code=1) == {"0": "failed", "1": "sent"}
    assert post.execute(code=1) == {"0": "refused", "1": "sent"}
    assert post.held() == {"2": 1}


def test_the_documents_keys_are_always_the_same(post: Post) -> None:
    post.reject(post.write([OLD, cart("1", products="none")]))
    produce(post.bootstrap, post.letters, [Record(b"key", b"value")])

    lines = [*post.dlq("redrive", "--json").json_lines, *post.dlq("redrive", "--json", "--execute").json_lines]

    assert [list(line)[-3:] for line in lines] == [["outcome", "detail", "superseded_by"]] * 6
    assert len({tuple(line) for line in lines}) == 1


@contextmanager
def _written_at_the_first_request(post: Post, record: Record) -> Iterator[None]:
    """Writes the record once the API is asked for the first time."""

    def write() -> None:
        wait_until(lambda: post.api.state().in_flight == 1, "a request", 30)
        post.write([record])

    thread = threading.Thread(target=write)
    thread.start()
    yield
    thread.join()
