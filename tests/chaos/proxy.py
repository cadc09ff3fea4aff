"""A TCP proxy that a test can make worse and better again: the network between two programs, with its faults."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

_READ = 16 * 1024
# Closing a socket whose linger time is 0 resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)


class Proxy:
    """Context manager: listens on a free port of this machine (`at`) and passes everything on to the target.

    Runs on a thread of its own; methods may be called from any. When one side closes, the other is cut at once, so
    that nothing is delivered for a client that has given up. `connections` counts those that were made.
    """

    def __init__(self, host: str, port: int, *, at: str = "127.0.0.1") -> None:
        self._target = (host, port)
        self._at = at
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refuses = False
        self._open = asyncio.Event()
        self._open.set()
        self.delay = 0.0
        self.bytes_per_second: float | None = None
        self.connections = 0
        self.port = 0

    @property
    def address(self) -> str:
        return f"[{self._at}]:{self.port}" if ":" in self._at else f"{self._at}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Resets every connection, and refuses new ones until `restore`."""
        self._refuses = True
        self._run(self._break())

    def blackhole(self) -> None:
        """From now on nothing arrives, in either direction, and nobody is told."""
        self._run(self._shut())

    def slow(self, delay: float, bytes_per_second: float | None = None) -> None:
        """Each piece of data comes `delay` seconds late, and no faster than that."""
        self.delay, self.bytes_per_second = delay, bytes_per_second

    def restore(self) -> None:
        """All is well again. What a black hole held is lost, and so are its connections."""
        self.slow(0.0)
        self._refuses = False
        if not self._open.is_set():
            self._run(self._break())
            self._loop.call_soon_threadsafe(self._open.set)

    def reset_connections(self) -> None:
        """Resets what is connected now; new connections are welcome."""
        self._run(self._break())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._at, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        link = _Link(writer, far_writer)
        self._links.add(link)
        self.connections += 1
        try:
            await _first(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._links.discard(link)
            link.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ):
                if not self._open.is_set():
                    continue  # what falls into the hole does not come back
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.bytes_per_second is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                writer.write(data)
                await writer.drain()

    async def _break(self) -> None:
        for link in list(self._links):
            link.abort()

    async def _shut(self) -> None:
        self._open.clear()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class _Link:
    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers

    def abort(self) -> None:
        """A reset, not an end in good order."""
        for writer in self._writers:
            if not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()


async def _first(*work: Coroutine[Any, Any, None]) -> None:
    """Until one of them ends; the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
