"""An answer, read piece by piece as it comes; httptools parses it."""

import zlib
from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

#: The API's answer is a short JSON object. Of a longer body no more than this is kept (bytes).
LONGEST_BODY: Final = 64 * 1024
#: Of an answer as a whole no more than this is read, however it is spread over headers, chunks and trailers (bytes).
_LONGEST: Final = 2 * LONGEST_BODY
_GZIP: Final = 16 + zlib.MAX_WBITS
#: The headers that are kept.
_RETRY_AFTER, _DATE, _ENCODING, _LENGTH, _TRANSFER = (
    b"retry-after",
    b"date",
    b"content-encoding",
    b"content-length",
    b"transfer-encoding",
)
_KEPT: Final = frozenset({_RETRY_AFTER, _DATE, _ENCODING, _LENGTH, _TRANSFER})
_FIRST_FINAL: Final = 200


class BadAnswerError(ValueError):
    """The bytes are no HTTP answer. The text says what is wrong with them."""


@dataclass(slots=True)
class Answer:
    """`body` is cut at LONGEST_BODY. `retry_after` and `date` are the headers' texts."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None


class AnswerReader:
    """Reads one answer after the other from one connection."""

    __slots__ = ("_answer", "_body", "_headers", "_parser", "_read", "_reusable", "_status")

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        # As most clients do: nobody lies to us about where an answer ends, but some servers are careless.
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_optional_cr_before_lf=True)
        self.expect()

    def expect(self) -> None:
        """To be called before each request."""
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self._status = self._read = 0
        self._answer: Answer | None = None
        self._reusable = False

    @property
    def begun(self) -> bool:
        """Whether anything of an answer has come."""
        return self._read > 0

    @property
    def reusable(self) -> bool:
        """Whether the connection may take another request once the answer is complete."""
        return self._reusable

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once it is complete, or longer than any that counts. Raises BadAnswerError."""
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._answer is None:
                raise BadAnswerError(f"no HTTP answer: {error}") from error
            self._reusable = False  # the answer is complete; what follows it is not ours
        if self._answer is None and (self._read > _LONGEST or len(self._body) > LONGEST_BODY):
            if not self._status:
                raise BadAnswerError("no HTTP answer: its headers have no end")
            self._answer = self._finished()
        return self._answer

    def end(self) -> Answer | None:
        """The answer, if it lasts until the connection ends; None: it is not complete."""
        lasts = self._status and _LENGTH not in self._headers and _TRANSFER not in self._headers
        return self._finished() if lasts else None

    def on_message_begin(self) -> None:
        """Called by the parser, like the following."""
        self._reusable = False  # of a second answer, which nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _KEPT:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL:
            self._status = status
        else:
            self._headers.clear()  # an interim answer; the final one follows

    def on_body(self, part: bytes) -> None:
        if len(self._body) <= LONGEST_BODY:
            self._body += part

    def on_message_complete(self) -> None:
        if self._status and self._answer is None:
            self._reusable = self._parser.should_keep_alive()
            self._answer = self._finished()

    def _finished(self) -> Answer:
        headers, body = self._headers, self._body
        if headers.get(_ENCODING, b"").lower() in (b"gzip", b"x-gzip"):
            body = _unpacked(body)
        return Answer(self._status, body[:LONGEST_BODY], _text(headers.get(_RETRY_AFTER)), _text(headers.get(_DATE)))


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _unpacked(body: bytes) -> bytes:
    """Nothing of the kind was asked for, but some servers pack whatever they send."""
    try:
        return zlib.decompressobj(_GZIP).decompress(body, LONGEST_BODY)
    except zlib.error:
        return body
