"""Answers in any shape: where they end, what is kept of them, and that nothing else comes of any bytes."""

import gzip
from collections import deque
from contextlib import suppress
from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.adapters.http.answer import LONGEST_BODY, Answer, AnswerReader, BadAnswerError

BODY = b'{"status":"success"}'
PACKED = gzip.compress(BODY, mtime=0)
CHUNKED = b"5\r\n" + BODY[:5] + b"\r\nf;a=b\r\n" + BODY[5:] + b"\r\n0\r\nDate: never\r\n\r\n"
WHOLE = {
    "with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + BODY,
    "with bare newlines": b"HTTP/1.1 200 OK\nContent-Length: 20\n\n" + BODY,
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "in chunks, with a length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + CHUNKED,
    "packed": b"HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
    "after interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + BODY,
}


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(ends)]


def read(data: bytes, cuts: list[int], reader: AnswerReader) -> Answer | None:
    reader.expect()
    answers = [reader.feed(piece) for piece in pieces(data, cuts)]
    assert answers[:-1].count(None) == len(answers) - 1 or data.endswith(b"\r\n\r\n"), "complete too early"
    return answers[-1]


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 1000), max_size=8))
def test_an_answer_is_the_same_however_it_is_cut(form: str, cuts: list[int]) -> None:
    """And the connection can take the next one."""
    reader = AnswerReader()
    for _ in range(2):
        answer = read(WHOLE[form], cuts, reader)
        assert answer is not None
        assert (answer.status, answer.body, reader.reusable) == (200, BODY, True)


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_an_answer_without_a_length_lasts_until_the_connection_ends(cuts: list[int]) -> None:
    reader = AnswerReader()
    for piece in pieces(b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\n\r\n" + BODY, cuts):
        assert reader.feed(piece) is None
    answer = reader.end()
    assert answer is not None
    assert (answer.status, answer.body, answer.retry_after) == (200, BODY, "7")


@pytest.mark.parametrize("form", ["with a length", "in chunks"])
def test_an_answer_that_is_cut_off_is_none(form: str) -> None:
    for end in range(len(WHOLE[form])):
        reader = AnswerReader()
        assert reader.feed(WHOLE[form][:end]) is None
        assert reader.end() is None


@pytest.mark.parametrize(
    "more", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"\x00" * 99]
)
def test_what_follows_an_answer_ends_the_use_of_its_connection(more: bytes) -> None:
    reader = AnswerReader()
    answer = reader.feed(WHOLE["with a length"] + more)
    assert answer is not None
    assert answer.body == BODY
    assert not reader.reusable


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\n",
    ],
)
def test_a_connection_that_the_server_will_close_is_not_kept(head: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(head + BODY) is not None
    assert not reader.reusable


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
    ],
)
def test_no_more_is_read_than_any_answer_of_the_api_has(beginning: bytes) -> None:
    reader = AnswerReader()
    answer, fed = reader.feed(beginning), 0
    while answer is None and fed < 10 * LONGEST_BODY:
        answer, fed = reader.feed(b"x" * 1000), fed + 1000
    assert answer is not None
    assert (answer.status, len(answer.body)) == (200, LONGEST_BODY)
    assert not reader.reusable


@pytest.mark.parametrize("endless", [b"X: y\r\n", b"x", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_headers_without_an_end_are_no_answer(endless: bytes) -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n" if b"HTTP" not in endless else b"")
    with pytest.raises(BadAnswerError):
        deque(map(reader.feed, repeat(endless, 10 * LONGEST_BODY // len(endless))), maxlen=0)


def test_a_packed_bomb_is_unpacked_as_far_as_any_answer_goes() -> None:
    bomb = gzip.compress(b"x" * 50_000_000, mtime=0)[:LONGEST_BODY]
    reader = AnswerReader()
    answer = reader.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
    assert answer is not None
    assert len(answer.body) == LONGEST_BODY


ANYTHING = st.one_of(st.binary(max_size=40), st.sampled_from([*WHOLE.values(), b"HTTP/1.1 ", b"\r\n"]))


@given(st.lists(ANYTHING, max_size=6))
def test_of_any_bytes_comes_an_answer_or_a_sentence(parts: list[bytes]) -> None:
    """Nothing else is raised."""
    reader = AnswerReader()
    with suppress(BadAnswerError):
        for part in parts:
            reader.feed(part)
        reader.end()
