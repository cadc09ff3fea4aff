"""What an open transaction holds can't be read before it has ended, and may be newer than a copy behind it."""

from typing import Any

import pytest

from tests.integration.events import cart
from tests.ops.dlq.conftest import Post, Transaction, Write, copies_are_written
from worker.ops.dlq import transactions

NEWER = cart("1", 2)


def test_what_is_committed_while_copies_are_written_wins(
    post: Post, other: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1")]))

    def meanwhile(write: Write) -> Any:
        other.write(NEWER)
        return write()

    copies_are_written(monkeypatch, meanwhile)
    monkeypatch.setattr(transactions, "_pause", other.commit_at_the_first_pause)

    assert post.redrive("--execute") == [("0", "redriven")]
    assert other.pauses >= 1
    assert post.values()[-1] == NEWER.value
    assert post.redrive("--execute") == []


def test_a_letter_waits_for_what_may_supersede_it(
    post: Post, other: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1")]))
    other.write(NEWER)
    monkeypatch.setattr(transactions, "_pause", other.commit_at_the_first_pause)

    assert post.redrive("--execute") == [("0", "superseded")]
    assert post.values() == [cart("1").value, NEWER.value]


def test_a_transaction_that_does_not_end_fails_the_letter_until_it_has(
    post: Post, other: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.reject(post.write([cart("1"), cart("2")]))
    monkeypatch.setattr(transactions, "PATIENCE", 0)

    def meanwhile(write: Write) -> Any:
        other.write(NEWER)
        copies.undo()
        return write()

    with monkeypatch.context() as copies:
        copies_are_written(copies, meanwhile)
        first = post.dlq("redrive", "--execute", "--json")
    end = post.end()
    second = post.dlq("redrive", "--execute", "--json")

    for answer in (first, second):
        assert (answer.code, [line["outcome"] for line in answer.json_lines]) == (1, ["failed", "failed"])
        assert "an open transaction on" in answer.json_lines[0]["detail"]
    assert post.end() == end, "nothing is written before it is known to be the newest"

    other.commit()
    assert post.redrive("--execute") == [("0", "redriven"), ("1", "superseded")]
    assert [post.values(key)[-1] for key in (b"cart:1", b"cart:2")] == [NEWER.value, cart("2").value]
    assert len(post.values(b"cart:2")) == 2
