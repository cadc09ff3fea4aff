import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.brokers.tools import Record, produce
from tests.integration.events import cart, order
from tests.ops.dlq.conftest import Post
from tests.ops.program import optico
from worker.adapters.kafka.admin import KafkaAdmin, Noted
from worker.adapters.kafka.writer import NewRecord, NotWritten, Writer
from worker.core.state import Partition
from worker.ops.dlq import memory
from worker.ports import FatalError, UnavailableError


def headers(record: Record) -> dict[str, bytes]:
    return dict(record.headers)


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(post: Post) -> None:
    post.reject(post.write([cart("1"), cart("2")]))

    answer = optico("dlq", "redrive", variables=post.variables)

    assert (answer.code, [row["outcome"] for row in answer.rows]) == (0, ["redrive", "redrive"])
    assert answer.err == "2 to put back; nothing was changed: --execute does it\n"
    assert (post.end(), post.remembered()) == (2, {})


def test_the_original_bytes_go_back_with_key_and_headers_and_redrives_counted_up(post: Post) -> None:
    odd = Record(b"cart:1", cart("1").value, (("trace", b"\xff\x00"), ("trace", b"2"), ("empty", b"")))
    (written,) = post.write([odd])
    post.reject([written], redrives=2)

    answer = optico("dlq", "redrive", "--execute", variables=post.variables)

    (copy,) = post.records(start=1)
    assert (answer.code, answer.err) == (0, f"1 put back; remembered in group {post.group}-redrive\n")
    assert (copy.key, copy.value, copy.partition) == (odd.key, odd.value, 0)
    assert copy.headers == (*odd.headers, ("dlq.redrives", b"3"))


def test_what_went_back_is_remembered_and_goes_back_once(post: Post) -> None:
    post.reject(post.write([cart("1"), cart("2")]))

    first = post.redrive("--execute")
    second = post.redrive("--execute")

    assert first == [("0", "redriven"), ("1", "redriven")]
    assert second == []
    assert (post.end(), post.remembered()) == (4, {0: 2})


def test_letters_chosen_by_reason_leave_gaps_that_are_remembered(post: Post) -> None:
    for number in range(6):
        reason = "other_error" if number % 2 else "unknown_visit_id"
        post.reject(post.write([cart(str(number))]), reason=reason)

    odd = post.redrive("--reason", "other_error", "--execute")
    low_after_odd = post.remembered()
    dry = post.redrive("--again", "--force")
    rest = post.redrive("--execute")

    assert odd == [("1", "redriven"), ("3", "redriven"), ("5", "redriven")]
    assert low_after_odd == {0: 0}
    assert [letter for letter, _ in dry] == ["0", "1", "2", "3", "4", "5"]
    assert rest == [("0", "redriven"), ("2", "redriven"), ("4", "redriven")]
    assert (post.end(), post.remembered()) == (12, {0: 6})


def test_what_a_note_has_no_room_for_goes_back_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.reject(post.write([cart("0"), cart("0", 2), cart("1"), Record(None, b"{")]))
    monkeypatch.setattr(memory, "LONGEST_NOTE", 2)

    answer = post.dlq("redrive", "--execute", f"{post.letters}-0-2", f"{post.letters}-0-3")

    assert (answer.code, [row["outcome"] for row in answer.rows]) == (0, ["redriven", "redriven"])
    assert "but for 2: --force would send them again" in answer.err
    assert post.redrive() == [("0", "superseded"), ("1", "redrive"), ("2", "superseded"), ("3", "superseded")]


def test_one_letter_is_chosen_by_its_place_or_its_records(post: Post) -> None:
    post.reject(post.write([cart("1"), cart("2"), cart("3")]))

    assert post.redrive(f"{post.letters}-0-1", f"{post.topic}-0-2") == [("1", "redrive"), ("2", "redrive")]


def test_a_letter_that_came_back_too_often_is_refused(post: Post) -> None:
    post.reject(post.write([cart("1")]), redrives=2)
    post.reject(post.write([cart("2")]), redrives=3)

    assert post.redrive() == [("0", "redrive"), ("1", "refused")]
    assert post.redrive("--max-redrives", "4") == [("0", "redrive"), ("1", "redrive")]
    assert post.redrive("--execute") == [("0", "redriven"), ("1", "refused")]


@pytest.mark.parametrize(
    "later",
    [
        cart("1", 2),
        Record(b"cart:1", None),
        Record(b"cart:1", json.dumps(json.loads(cart("1").value or b"") | {"products": []}).encode()),
        Record(b"cart:1", json.dumps({"type": "cart", "id": "1", "visit_id": "v"}).encode()),
        Record(b"cart:1", b"{"),
        Record(None, cart("1", 2).value),
    ],
    ids=["newer state", "tombstone", "emptied", "invalid", "malformed", "without a key"],
)
def test_a_letter_whose_cart_has_a_later_record_is_superseded(post: Post, later: Record) -> None:
    post.reject(post.write([cart("1"), order("1")]))
    post.write([later])

    assert post.redrive("--execute") == [("0", "superseded"), ("1", "redriven")]
    assert [(record.key, record.value) for record in post.records(start=3)] == [(b"order:1", order("1").value)]


def test_force_sends_a_superseded_letter_too_and_the_newer_state_last(post: Post) -> None:
    old, new = post.write([cart("1", 1), cart("1", 2)])
    post.reject([new, old])

    assert post.redrive() == [("1", "superseded"), ("0", "redrive")]
    assert post.redrive("--force", "--execute") == [("1", "redriven"), ("0", "redriven")]
    assert [record.value for record in post.records(start=2)] == [old.value, new.value]


def test_an_older_state_stays_behind_where_the_newer_one_is_known_by_its_letter_only(post: Post) -> None:
    post.reject(post.write([cart("1", 1), cart("1", 2)]))
    post.delete_before(2)

    (old, outcome), *_ = post.redrive()

    assert (old, outcome) == ("0", "superseded")


def test_where_the_log_is_deleted_nothing_goes_back_unasked(post: Post) -> None:
    """Whether a newer state was in what is deleted can't be known."""
    post.reject(post.write([cart("1"), cart("2")])[:1])
    post.delete_before(2)

    assert post.redrive("--execute") == [("0", "refused")]
    assert post.redrive("--force", "--execute") == [("0", "redriven")]


def test_a_letter_that_was_written_twice_goes_back_once(post: Post) -> None:
    written = post.write([cart("1")])
    post.reject(written)
    post.reject(written)

    assert sorted(post.redrive("--execute")) == [("0", "duplicate"), ("1", "redriven")]
    assert (post.end(), post.redrive()) == (2, [])


def test_a_redriven_letter_that_fails_again_is_a_letter_of_its_own(post: Post) -> None:
    post.reject(post.write([cart("1")]))
    post.redrive("--execute")
    (copy,) = post.records(start=1)
    post.reject([Record(copy.key, copy.value, (), copy.timestamp, 0, copy.offset)], redrives=1)

    assert post.redrive("--again") == [("0", "superseded"), ("1", "redrive")]
    post.redrive("--execute")
    assert headers(post.records(start=2)[0])["dlq.redrives"] == b"2"


def test_a_truncated_letters_value_is_read_from_its_record_while_that_is_there(post: Post) -> None:
    post.reject(post.write([cart("1"), cart("2")]), truncated=True)
    post.delete_before(1)

    assert post.redrive("--execute", "--force") == [("0", "refused"), ("1", "redriven")]
    (copy,) = post.records(start=2)
    assert (copy.key, copy.value, copy.headers) == (b"cart:2", cart("2").value, (("dlq.redrives", b"1"),))


def test_a_truncated_letter_without_key_and_headers_goes_back_as_its_record_was(post: Post) -> None:
    (written,) = post.write([Record(b"cart:1", cart("1").value, (("trace", b"1"), ("dlq.redrives", b"1")))])
    bare = Record(None, b"", (), written.timestamp, 0, written.offset)
    produce(post.bootstrap, post.letters, [post.letter(bare, truncated=True, entity="cart", id="1", redrives=1)])

    assert post.redrive("--execute") == [("0", "redriven")]
    (copy,) = post.records(start=1)
    assert (copy.key, copy.value) == (written.key, written.value)
    assert copy.headers == (("trace", b"1"), ("dlq.redrives", b"2"))


def test_another_record_at_a_truncated_letters_place_does_not_go_back(post: Post) -> None:
    written = post.write([cart("1")])
    produce(
        post.bootstrap, post.letters, [post.letter(Record(b"cart:9", b"", (), 1, 0, written[0].offset), truncated=True)]
    )

    answer = post.dlq("redrive", "--force", "--execute")

    assert post.redrive("--execute") == [("0", "refused")]
    assert (answer.code, [row["outcome"] for row in answer.rows]) == (1, ["failed"])
    assert post.end() == 1


@pytest.mark.parametrize(("commits", "sent"), [(0, 0), (1, 1)])
def test_what_can_not_be_remembered_is_not_said_to_be(
    post: Post, monkeypatch: pytest.MonkeyPatch, commits: int, sent: int
) -> None:
    """Who may not commit learns it before a letter is sent: with --force each run would send it anew."""
    post.reject(post.write([cart("1")]))
    commit, left = KafkaAdmin.commit, iter(range(commits))

    def refused(admin: KafkaAdmin, group: str, offsets: Mapping[Partition, int | Noted]) -> None:
        if next(left, None) is None:
            raise FatalError("GroupAuthorizationFailedError")
        commit(admin, group, offsets)

    monkeypatch.setattr(KafkaAdmin, "commit", refused)
    answer = post.dlq("redrive", "--force", "--execute")

    assert (answer.code, post.end()) == (1, 1 + sent)
    assert "; remembered in" not in answer.err
    assert ("is not remembered in group" in answer.err) is bool(sent)


@pytest.mark.parametrize("in_between", [[cart("5", 2)], [cart("5", 2), cart("5", 3)]])
def test_what_changes_while_copies_are_written_wins(
    post: Post, monkeypatch: pytest.MonkeyPatch, in_between: list[Record]
) -> None:
    """It stands before the copy, as the newest state by time, and would lose to it for good."""
    post.reject(post.write([cart(str(number)) for number in range(6)]))
    write = Writer.write
    changes = iter(in_between)

    def written(writer: Writer, records: Sequence[NewRecord]) -> list[int | NotWritten]:
        answers: list[int | NotWritten] = []
        for record in records:
            if record.key == b"cart:5" and (change := next(changes, None)) is not None:
                post.write([change])
            answers += write(writer, [record])
        return answers

    monkeypatch.setattr(Writer, "write", written)
    answer = post.dlq("redrive", "--execute", "--json")

    assert [line["outcome"] for line in answer.json_lines] == ["redriven"] * 6
    assert "came meanwhile" in answer.json_lines[-1]["detail"]
    mine = [record for record in post.records() if record.key == b"cart:5"]
    assert (mine[-1].value, mine[-1].headers) == (in_between[-1].value, in_between[-1].headers)
    assert post.redrive("--execute") == []


def test_what_was_put_back_before_the_brokers_went_away_is_remembered(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1"), cart("2")]))
    write = Writer._write

    def gone(writer: Writer, record: NewRecord) -> int | NotWritten:
        if record.key == b"cart:2":
            raise UnavailableError("writing: no broker")
        return write(writer, record)

    with monkeypatch.context() as away:
        away.setattr(Writer, "_write", gone)
        answer = post.dlq("redrive", "--execute", "--json")

    assert (answer.code, [line["outcome"] for line in answer.json_lines]) == (1, ["redriven", "failed"])
    assert post.redrive("--execute") == [("1", "redriven")]


def test_a_cart_that_never_stops_changing_is_said(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.reject(post.write([cart("1")]))
    write, number = Writer.write, itertools.count(2)

    def written(writer: Writer, records: Sequence[NewRecord]) -> list[int | NotWritten]:
        post.write([cart("1", next(number))])
        return write(writer, records)

    monkeypatch.setattr(Writer, "write", written)
    answer = post.dlq("redrive", "--execute", "--json")

    assert (answer.code, [line["outcome"] for line in answer.json_lines]) == (1, ["failed"])
    assert "changes too often" in answer.json_lines[0]["detail"]


def test_where_the_log_is_another_one_nothing_goes_back_unasked(post: Post) -> None:
    """A topic that was created anew has others at its offsets, and what is newer stands before the letter's."""
    (newer, other) = post.write([cart("1", 2), cart("2")])
    post.reject([replace(newer, value=cart("1").value, offset=500)])
    post.reject([replace(other, timestamp=1)])

    assert sorted(post.redrive("--execute")) == [("0", "refused"), ("1", "refused")]
    assert post.end() == 2


def test_of_two_letters_with_one_place_only_that_of_the_record_which_is_there_goes_back(post: Post) -> None:
    """The other one is from before the topic was created anew."""
    (there,) = post.write([cart("2")])
    post.reject([replace(there, key=b"cart:1", value=cart("1").value, timestamp=1)])
    post.reject([there])

    assert sorted(post.redrive("--execute")) == [("0", "refused"), ("1", "redriven")]
    assert [record.key for record in post.records(start=1)] == [b"cart:2"]


@pytest.mark.parametrize(
    "letter", [{"entity": "unknown", "id": "1"}, {"id": "1" * 1000}], ids=["of an unknown kind", "with a cut id"]
)
def test_a_letter_whose_id_is_no_name_is_known_by_its_key(post: Post, letter: dict[str, str]) -> None:
    post.reject(post.write([cart("1"), cart("2")])[:1], **letter)
    assert post.redrive() == [("0", "redrive")]
    post.write([cart("1", 2)])
    assert post.redrive() == [("0", "superseded")]


def test_a_record_that_the_topic_does_not_take_keeps_no_other_from_going_back(post: Post) -> None:
    """Also not those that are written after it."""
    large = cart("1", agent="x" * 5000)
    written = post.write([large, *(cart(str(number)) for number in range(2, 120))])
    post.reject(written)
    post.limit(2000)

    answer = post.dlq("redrive", "--execute", "--json")

    outcomes = [line["outcome"] for line in answer.json_lines]
    assert (answer.code, outcomes) == (1, ["failed", *["redriven"] * 118])
    assert "max.message.bytes" in answer.json_lines[0]["detail"]


def test_what_can_not_go_back_is_refused_in_words(post: Post) -> None:
    stranger = Record(b"key", b"value")
    looping = post.letter(Record(b"cart:1", b"{}", (), 1, 0, 0), topic=post.letters)
    nowhere = post.letter(Record(b"cart:1", b"{}", (), 1, 0, 0), topic="nowhere-carts")
    produce(post.bootstrap, post.letters, [stranger, looping, nowhere])

    rows = post.dlq("redrive", "--execute").rows

    details = {row["letter"][-1]: (row["outcome"], row["detail"]) for row in rows}
    assert details == {
        "0": ("refused", "its headers don't say where it is from"),
        "1": ("refused", "it says that it is from the dead-letter topic itself"),
        "2": ("refused", "nowhere-carts-0 does not exist, or is not to be seen or reached"),
    }


def test_the_documents_keys_are_always_the_same(post: Post) -> None:
    post.reject(post.write([cart("1")]))
    produce(post.bootstrap, post.letters, [Record(b"key", b"value")])

    lines = post.dlq("redrive", "--json").json_lines

    assert [list(line)[-2:] for line in lines] == [["outcome", "detail"]] * 2
    assert len({tuple(line) for line in lines}) == 1
