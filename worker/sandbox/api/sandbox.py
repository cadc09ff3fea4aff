"""The sandbox in this process: on a thread of its own for tests and the demo, or in the foreground."""

import asyncio
import ssl as tls
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from signal import SIGINT, SIGTERM
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import click

from worker.sandbox.api.backend import Backend, Options
from worker.sandbox.api.check import Kind
from worker.sandbox.api.errors import SandboxError, SandboxUnavailableError
from worker.sandbox.api.faults import Rule, parse_faults
from worker.sandbox.api.views import SandboxState, SeenRequest, StoredRecord

_T = TypeVar("_T")


class Sandbox:
    """A stand-in for the Cart API, in the background. Every method may be called from any thread.

    `port` 0 takes any free one; `ssl` is a server context (see `server_tls`) or None for plain HTTP; `options` are the
    fields of `Options`. After `stop` the state, the records and the requests can still be read.
    """

    def __init__(
        self,
        keys: Iterable[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: tls.SSLContext | None = None,
        **options: Any,
    ) -> None:
        self._backend = Backend(Options(keys=None if keys is None else frozenset(keys), **options))
        self._listen = (host, port, ssl)
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._url: str | None = None
        # Held while the loop is spoken to: a call that comes after the loop has stopped would wait for ever.
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<Sandbox {self._url if self._loop is not None else 'not running'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, or listened. Raises SandboxError before the first `start`."""
        if self._url is None:
            raise SandboxError("the sandbox has not been started")
        return self._url

    def start(self) -> Self:
        """Returns when it listens. Raises OSError if the address is taken, SandboxUnavailableError without aiohttp."""
        if self._thread is not None:
            raise SandboxError("the sandbox is running")
        listening = _listening(self._backend, *self._listen)
        started: Future[str] = Future()
        self._thread = Thread(target=self._run, args=(listening, started), name="sandbox", daemon=True)
        self._thread.start()
        try:
            self._url = started.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        return self

    def stop(self) -> None:
        """Cut every connection and end the thread; blocks until both are done. Stopping twice does nothing."""
        with self._lock:
            if self._thread is None or self._loop is None or self._stopping is None:
                return
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = self._loop = self._stopping = None

    def set_faults(self, faults: Iterable[Any]) -> None:
        """Replace the faults: rules, or what their JSON holds. Raises FaultsError that names the fields."""
        rules = parse_faults(faults)
        self._call(lambda: self._backend.set_faults(rules))

    def clear_faults(self) -> None:
        self._call(lambda: self._backend.set_faults(()))

    def set_keys(self, keys: Iterable[str] | None) -> None:
        """The keys that are valid from now on; None: any that is not empty."""
        valid = None if keys is None else frozenset(keys)
        self._call(lambda: setattr(self._backend, "keys", valid))

    def set_unknown_visits(self, visits: Iterable[str]) -> None:
        unknown = frozenset(visits)
        self._call(lambda: setattr(self._backend, "unknown_visits", unknown))

    def reset(self) -> None:
        """Forget requests, records and counts; what is in flight changes nothing any more. Sequence numbers go on."""
        self._call(self._backend.reset)

    def state(self) -> SandboxState:
        return self._call(self._backend.state)

    def records(self, kind: Kind | None = None, id: str | None = None) -> list[StoredRecord]:  # noqa: A002
        """The records, the one that was updated last first."""
        return self._collect(lambda: self._backend.records(kind, id))

    def requests(
        self,
        after: int = 0,
        kind: Kind | None = None,
        id: str | None = None,  # noqa: A002 - the API's own word
        limit: int | None = None,
    ) -> list[SeenRequest]:
        """The kept requests with a sequence number above `after`, in order of arrival."""
        return self._collect(lambda: self._backend.requests(after, kind, id, limit))

    def _run(self, listening: AbstractAsyncContextManager[str], started: Future[str]) -> None:
        async def serve() -> None:
            async with listening as url:
                self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
                started.set_result(url)
                await self._stopping.wait()

        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    def _call(self, function: Callable[[], _T]) -> _T:
        async def call() -> _T:
            return function()

        return self._await(call())

    def _collect(self, chunks: Callable[[], AsyncIterator[list[_T]]]) -> list[_T]:
        async def collect() -> list[_T]:
            return [item async for chunk in chunks() for item in chunk]

        return self._await(collect())

    def _await(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """On the sandbox's own loop while it runs; afterwards nothing else touches the backend."""
        with self._lock:
            if self._loop is None:
                return asyncio.run(coroutine)
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def server_tls(certfile: str, keyfile: str) -> tls.SSLContext:
    """A context for `Sandbox(ssl=…)` and `serve(ssl=…)`. Raises OSError or ssl.SSLError if the files don't fit."""
    context = tls.create_default_context(tls.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile)
    return context


def serve(
    host: str = "127.0.0.1",
    port: int = 8080,
    keys: Iterable[str] | None = None,
    *,
    ssl: tls.SSLContext | None = None,
    faults: Iterable[Rule | dict[str, Any]] = (),
    announce: Callable[[str], None] = click.echo,
    **options: Any,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; blocks, on the main thread only.

    `announce` gets one line with the URL once it listens. `options` are the fields of `Options`. Raises OSError if the
    address can't be listened on, FaultsError, and SandboxUnavailableError without aiohttp.
    """
    backend = Backend(Options(keys=None if keys is None else frozenset(keys), **options))
    rules = parse_faults(faults)
    listening = _listening(backend, host, port, ssl)

    async def run() -> None:
        stopping = asyncio.Event()
        for signal in (SIGINT, SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal, stopping.set)
        async with listening as url:
            backend.set_faults(rules)
            announce(f"sandbox listening on {url}")
            await stopping.wait()

    asyncio.run(run())


def _listening(backend: Backend, host: str, port: int, ssl: tls.SSLContext | None) -> AbstractAsyncContextManager[str]:
    """`server.listening`, imported only now: the server library is an extra that a production image lacks."""
    try:
        server = import_module("worker.sandbox.api.server")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "aiohttp":
            raise
        raise SandboxUnavailableError("the sandbox needs: pip install 'optico-worker[sandbox]'") from error
    return cast("AbstractAsyncContextManager[str]", server.listening(backend, host, port, ssl))
