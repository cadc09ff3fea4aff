"""Exchanges with one server over connections that are kept, each within a deadline for the whole of it."""

import asyncio
import os
import ssl
from bisect import bisect_right
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from worker import __version__
from worker.adapters.http.answer import Answer, BadAnswerError
from worker.adapters.http.connection import Connection, NothingWrittenError
from worker.adapters.http.dialer import Dialer

#: Shorter than the idle time-out of usual servers, which would close what we are about to write to (s).
_IDLE_AT_MOST: Final = 4.0
#: For so long no connection is believed to be open just because nobody said otherwise (s).
_CAREFUL_FOR: Final = 60.0


class ExchangeFailed(Exception):  # noqa: N818 - it says what happened
    """No complete answer came. `written`: the request, or a part of it, may have left. `timed_out`: by the deadline.

    `__cause__` is the OSError, ssl.SSLError or BadAnswerError, if there was one.
    """

    def __init__(self, message: str, *, written: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.written, self.timed_out = written, timed_out


class HttpClient:
    """For one event loop. Redirects are not followed, certificates are verified.

    `timeout` (s) is for the whole exchange, however slowly it drips. No request is under way on a connection that is
    older than `max_connection_age` (s), which should be twice the time-out at least. There are as many connections as
    exchanges at once. Raises OSError if the CA file can't be read, ValueError if it holds no certificate.
    """

    def __init__(
        self, url: str, *, timeout: float, ca_file: str | Path | None = None, max_connection_age: float = 300.0
    ) -> None:
        parts = urlsplit(url)
        self._dialer = Dialer(parts, ca_file)
        self._timeout = timeout
        # A request that starts at the end takes its time-out more.
        self._replace_after = max(max_connection_age - timeout, max_connection_age / 2)
        self._idle: list[Connection] = []
        #: After a server closed a connection without a word; where one does so after each answer, half of all requests
        #: would be written in vain.
        self._careful_until = float("-inf")
        self._sweep: asyncio.TimerHandle | None = None
        through = self._dialer.proxy if parts.scheme == "http" else None
        self._base = (f"http://{parts.netloc}" if through is not None else "") + parts.path.rstrip("/")
        self._common = f" HTTP/1.1\r\nhost: {parts.netloc}\r\nuser-agent: optico-worker/{__version__}\r\n".encode()
        if through is not None:
            self._common += through.header

    def head(self, method: str, path: str, headers: str = "") -> bytes:
        """The head of a request up to where the length of its body stands. `headers`: further lines, each ended."""
        line = f"{method} {self._base}{path}".encode()
        return line + self._common + headers.encode() + b"content-length: "

    async def exchange(self, head: bytes, body: bytes = b"") -> Answer:
        """Raises ExchangeFailed. Where a server has closed a connection meanwhile, the next one is taken."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        until = now + self._timeout
        head = b"%b%d\r\n\r\n" % (head, len(body))
        while True:
            connection = self._take(now) or await self._dial(until)
            answer = connection.request(head, body)
            timer = loop.call_at(until, _expire, answer)
            try:
                return await answer
            except (OSError, BadAnswerError) as error:
                if connection.kept and isinstance(error, NothingWrittenError):
                    continue
                raise self._failure(connection, error, loop.time()) from error
            finally:
                timer.cancel()
                if answer.done() and connection.reusable:
                    self._keep(connection, loop.time())
                else:
                    connection.abort()

    async def close(self) -> None:
        """Closes the connections that are kept; those in use end with their exchanges."""
        if self._sweep is not None:
            self._sweep.cancel()
        while self._idle:
            self._idle.pop().abort()

    def _take(self, now: float) -> Connection | None:
        """The one that was used last: the others grow old, and are closed."""
        while self._idle:
            connection = self._idle.pop()
            fresh = now - connection.opened < self._replace_after and now - connection.used < _IDLE_AT_MOST
            if fresh and connection.open and (now > self._careful_until or connection.quiet):
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection, now: float) -> None:
        connection.used, connection.kept = now, True
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_IDLE_AT_MOST, self._close_idle)

    def _close_idle(self) -> None:
        """Those that were used last are at the end."""
        loop = asyncio.get_running_loop()
        before = loop.time() - _IDLE_AT_MOST
        old = bisect_right(self._idle, before, key=lambda each: each.used)
        for connection in self._idle[:old]:
            connection.abort()
        del self._idle[:old]
        self._sweep = loop.call_later(self._idle[0].used - before, self._close_idle) if self._idle else None

    def _failure(self, connection: Connection, error: Exception, now: float) -> ExchangeFailed:
        timed_out = isinstance(error, TimeoutError)
        if connection.kept and connection.unheard and not timed_out:
            self._careful_until = now + _CAREFUL_FOR
        return ExchangeFailed(describe(error), written=not isinstance(error, NothingWrittenError), timed_out=timed_out)

    async def _dial(self, deadline: float) -> Connection:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._dialer.dial()
        except OSError as error:
            raise ExchangeFailed(describe(error), written=False, timed_out=isinstance(error, TimeoutError)) from error


def _expire(answer: "asyncio.Future[Answer]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError("no answer within the deadline"))


def describe(error: Exception) -> str:
    """What went wrong, in the system's or OpenSSL's words, without numbers and places in a source."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate can't be verified: {error.verify_message}"
        case ssl.SSLError() if error.reason:
            return f"TLS: {error.reason.replace('_', ' ').lower()}"
        case OSError() if error.errno is not None:
            return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or type(error).__name__
