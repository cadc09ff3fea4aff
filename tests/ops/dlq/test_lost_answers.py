"""A broker takes a copy, and its answer gets lost: what the shop wrote meanwhile is the newest state all the same."""

from typing import Any

import pytest

from tests.brokers.tools import Record
from tests.integration.events import cart
from tests.ops.dlq.conftest import Lost, Post, Write, copies_are_written
from worker.adapters.kafka.writer import NewRecord, NotWritten, Writer

NEWER = cart("1", 2)


def test_a_copy_that_the_client_wrote_twice_is_not_taken_for_something_newer(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1")]))

    def twice(write: Write) -> Any:
        post.write([NEWER])
        write()
        return write()

    with monkeypatch.context() as patch:
        copies_are_written(patch, twice)
        assert post.redrive("--execute") == [("0", "redriven")]

    old = cart("1").value
    assert post.values() == [old, NEWER.value, old, old, NEWER.value]
    assert post.redrive("--execute") == []


def test_a_state_that_the_client_repeated_twice_is_not_taken_for_something_newer(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1")]))
    newest = cart("1", 3)
    write, came = Writer.write, [NEWER]

    def written(writer: Writer, records: list[NewRecord]) -> list[int | NotWritten]:
        if records[0].value == NEWER.value and newest not in came:
            came.append(newest)
            post.write([newest])
            write(writer, records)
        elif len(came) == 1:
            post.write([NEWER])
        return write(writer, records)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", written)
        assert post.redrive("--execute") == [("0", "redriven")]

    assert post.values()[-1] == newest.value


def test_a_copy_whose_answer_got_lost_is_found_in_the_log(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.reject(post.write([cart("1"), cart("2")]))

    def unanswered(write: Write) -> Any:
        post.write([NEWER])
        write()
        return Lost()

    with monkeypatch.context() as patch:
        copies_are_written(patch, unanswered)
        answer = post.dlq("redrive", "--execute", "--json")

    assert [line["outcome"] for line in answer.json_lines] == ["redriven", "failed"]
    assert "one before it got no answer" in answer.json_lines[1]["detail"]
    assert post.values()[-1] == NEWER.value
    assert post.redrive("--execute") == [("1", "redriven")]


def test_what_a_run_that_ended_half_way_left_before_a_copy_goes_behind_it(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own copy is no reason to leave it so."""
    post.reject(post.write([cart("1"), cart("2")]))

    def ended(write: Write) -> Any:
        post.write([NEWER])
        write()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        copies_are_written(patch, ended)
        post.dlq("redrive", "--execute")
    assert post.values()[-1] == cart("1").value

    assert post.redrive() == [("0", "redrive"), ("1", "redrive")]
    assert post.redrive("--execute") == [("0", "redriven"), ("1", "redriven")]

    assert post.values()[-1] == NEWER.value
    assert len(post.values(b"cart:2")) == 2
    assert (post.redrive("--execute"), post.remembered()) == ([], {0: 2})


@pytest.mark.parametrize("letter", [cart("1"), Record(None, b"{")], ids=["of a cart", "of nobody"])
def test_a_copy_of_a_run_that_was_killed_is_not_written_again(
    post: Post, monkeypatch: pytest.MonkeyPatch, letter: Record
) -> None:
    post.reject(post.write([letter]))

    def killed(write: Write) -> Any:
        write()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        copies_are_written(patch, killed)
        post.dlq("redrive", "--execute")

    assert post.redrive("--execute") == [("0", "superseded")]
    assert post.end() == 2


@pytest.mark.parametrize("chosen", [[], ["1"]], ids=["both letters", "the copy's"])
def test_a_copy_that_was_rejected_again_is_as_old_as_its_letter(
    post: Post, monkeypatch: pytest.MonkeyPatch, chosen: list[str]
) -> None:
    post.reject(post.write([cart("1")]))

    def ended(write: Write) -> Any:
        post.write([NEWER])
        write()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        copies_are_written(patch, ended)
        post.dlq("redrive", "--execute")
    post.reject(post.records(start=2), redrives=1)

    named = [f"{post.letters}-0-{letter}" for letter in chosen]
    assert dict(post.redrive("--execute", *named))["1"] == "superseded"
    post.redrive("--execute")

    assert post.values()[-1] == NEWER.value
