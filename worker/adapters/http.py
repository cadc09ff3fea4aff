"""The Cart API over HTTP, by pyreqwest: its time-out is a deadline for the whole exchange, however slowly it drips."""

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Self

# The library's own allocator (mimalloc) asks for huge pages: a few hundred bytes touched can hold 2 MB, so that some
# 5 MB in use were 30 to 50, more after each outage. It also gives back late what was freed, and for threads that rest
# then, never. It reads these when it is loaded; the first turns huge pages off for the whole process.
os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")

from pyreqwest.bytes import Bytes
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, PyreqwestError, RequestTimeoutError
from pyreqwest.response import Response

from worker import __version__
from worker.core.outcome import Outcome, classify, connection_failed, parse_retry_after, timed_out

#: An answer is a short JSON object; of anything longer no more than this is read.
LONGEST_BODY = 64 * 1024
#: The library calls all that fails before an answer a connect error, also where the request was written: only this
#: cause tells that it was not. Of a time-out nothing can be told.
_NOT_CONNECTED = "client error (Connect)"
#: Of a body's length that is taken at its word; longer ones may be none.
_DIGITS_AT_MOST = 18
_HEADERS = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}


class CartApi:
    """See `worker.ports.Api`. Redirects are not followed, certificates are verified. For one event loop.

    `timeout` in seconds. No request is under way on a connection that is older than `max_connection_age` (s), which
    should be twice the time-out at least. Raises OSError if the CA file can't be read, ValueError if it holds no
    certificate.

    A request on a reused connection that fails before anything was written is repeated by the library, once, on a new
    connection; the outcome is that of the second one.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        concurrency: int,
        ca_file: str | Path | None = None,
        max_connection_age: float = 300.0,
    ) -> None:
        self._base = url.rstrip("/")
        self._timeout, self._concurrency = timeout, concurrency
        self._authorities = None if ca_file is None else _certificates(Path(ca_file))
        # The library has an age for idle connections only. A request that starts at the end takes its time-out more.
        self._replace_after = max(max_connection_age - timeout, max_connection_age / 2)
        self._connect()

    def _connect(self) -> None:
        """Connections of the former client end as soon as nothing is under way on them."""
        builder = (
            ClientBuilder()
            .user_agent(f"optico-worker/{__version__}")
            .default_headers(_HEADERS)
            .timeout(timedelta(seconds=self._timeout))
            .follow_redirects(enable=False)
            .error_for_status(enable=False)
            .pool_max_idle_per_host(self._concurrency)
            # Shorter than the idle time-out of usual servers, which would reset what we are about to write to.
            .pool_idle_timeout(timedelta(seconds=4))
        )
        if self._authorities is not None:
            builder = builder.add_root_certificate_pem(self._authorities)
        made_at = time.monotonic()
        try:
            self._client: Client = builder.build()
        except BuilderError as error:
            raise ValueError(f"the HTTP client can't be set up: {error}") from error
        self._replace_at = made_at + self._replace_after

    def _young(self) -> Client:
        """A client whose connections are all young enough."""
        if time.monotonic() >= self._replace_at:
            try:
                self._connect()
            except ValueError:  # no file descriptor left, say: an old connection is better than none
                self._replace_at = time.monotonic() + 1.0
        return self._client

    async def post(self, path: str, body: bytes) -> Outcome:
        """One exchange, which takes the time-out at most; never raises for what the network or the API does."""
        try:
            async with self._young().post(self._base + path).body_bytes(body).build_streamed() as response:
                answer = await _read(response.body_reader.read_chunk, _announced(response))
                retry_after = parse_retry_after(_header(response, "retry-after"), time.time())
                return classify(response.status, answer, retry_after)
        except RequestTimeoutError:
            return timed_out()
        except PyreqwestError as error:
            causes = _causes(error)
            return connection_failed(f"{type(error).__name__}: {causes[-1]}", written=_NOT_CONNECTED not in causes)

    async def close(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _header(response: Response, name: str) -> str | None:
    try:
        return response.get_header(name)
    except ValueError:  # not ASCII: as good as absent
        return None


def _certificates(path: Path) -> bytes:
    """The file's content; the HTTP library would take one without any certificate for none at all, silently."""
    content = path.read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except ssl.SSLError as error:
        raise ValueError(f"{path} (OPTICO_CA_FILE) holds no certificate in PEM form: {error.reason}") from error
    return content


def _announced(response: Response) -> int | None:
    """The body's length (bytes), where the answer tells it in so many words. What is unpacked on the way has none."""
    length = _header(response, "content-length") or ""
    chunked = _header(response, "transfer-encoding") is not None
    # The library takes a list of equal numbers for one, and does not look where an answer has no body.
    return int(length) if length.isdecimal() and len(length) <= _DIGITS_AT_MOST and not chunked else None


async def _read(read_chunk: Callable[[], Awaitable[Bytes | None]], announced: int | None) -> bytes:
    """The body, cut where it is longer than any answer of the API: what is cut is no JSON, and so no envelope."""
    length = LONGEST_BODY if announced is None else min(announced, LONGEST_BODY)
    chunks = bytearray()
    while len(chunks) < length and (chunk := await read_chunk()) is not None:
        chunks += chunk
    return bytes(chunks[:length])


def _causes(error: PyreqwestError) -> list[str]:
    """From the outermost to the innermost, which says most: `Connection refused`."""
    details = getattr(error, "details", None) or {}
    return [cause["message"] for cause in details.get("causes") or []] or [error.message]
