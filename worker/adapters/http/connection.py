"""One connection to the API: it takes one request at a time."""

import asyncio
import select
from typing import Final, cast

from worker.adapters.http.answer import Answer, AnswerReader, BadAnswerError

#: A request up to this size is written at once; of a larger one as much at a time, as the peer takes it (bytes).
_PIECE: Final = 256 * 1024


class NothingWrittenError(ConnectionError):
    """The peer closed the connection before anything of the request had left."""


class Connection(asyncio.Protocol):
    """For one event loop. `opened` and `used` are its times (s); `kept`: it has served a request before."""

    __slots__ = (
        "_answer",
        "_loop",
        "_paused",
        "_poll",
        "_reader",
        "_size",
        "_transport",
        "_unsent",
        "kept",
        "opened",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.opened = self.used = loop.time()
        self.kept = False
        self._reader = AnswerReader()
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self._unsent = memoryview(b"")
        self._paused = False
        self._size = 0
        self._poll = select.poll()

    @property
    def open(self) -> bool:
        """As far as the loop has heard."""
        return self._transport is not None

    @property
    def quiet(self) -> bool:
        """Whether the peer has neither closed it nor said anything since, also if the loop has not heard of it yet.

        Costs a system call, and gives the interpreter to other threads.
        """
        return not self._poll.poll(0)

    @property
    def unheard(self) -> bool:
        """Whether nothing came of an answer."""
        return not self._reader.begun

    @property
    def reusable(self) -> bool:
        """Whether it can be kept after the answer that has come."""
        return self._transport is not None and self._reader.reusable and not self._unsent

    def request(self, head: bytes, body: bytes) -> "asyncio.Future[Answer]":
        """Writes it. The future has the answer, or OSError or BadAnswerError."""
        self._answer = self._loop.create_future()
        self._reader.expect()
        if self._transport is None:  # a peer may close a connection before whoever opened it hears that it is open
            self._answer.set_exception(NothingWrittenError("the connection was closed as soon as it was open"))
            return self._answer
        self._size = len(head) + len(body)
        if len(body) <= _PIECE:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._unsent = memoryview(body)
            self._write()
        return self._answer

    def abort(self) -> None:
        """Closes it at once, but not inside of a callback: uvloop's TLS would go on writing to what is closed."""
        self._answer, self._unsent = None, memoryview(b"")
        if self._transport is not None:
            self._loop.call_soon(self._transport.abort)
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # nobody has asked
            return
        try:
            answer = self._reader.feed(data)
        except BadAnswerError as error:
            self._answer.set_exception(error)
            return
        if answer is not None:
            self._answer.set_result(answer)

    def eof_received(self) -> None:
        if self._transport is None:
            return
        if self._answer is None or self._answer.done():
            self.abort()
        # The loop writes at the end of its turn: what it holds until then has not left, and never will.
        elif self._transport.get_write_buffer_size() >= self._size:
            self._answer.set_exception(NothingWrittenError("the connection was closed before anything was written"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is None or self._answer.done():
            return
        answer = self._reader.end() if error is None else None
        if answer is not None:
            self._answer.set_result(answer)
        else:
            self._answer.set_exception(_failure(error))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write()

    def _write(self) -> None:
        while self._unsent and not self._paused and self._transport is not None:
            piece, self._unsent = self._unsent[:_PIECE], self._unsent[_PIECE:]
            self._transport.write(piece)


def _failure(error: Exception | None) -> OSError:
    if error is None:
        return ConnectionResetError("the connection was closed before the answer was complete")
    return error if isinstance(error, OSError) else ConnectionError(str(error) or type(error).__name__)
