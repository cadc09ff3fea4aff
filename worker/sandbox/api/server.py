"""The sandbox as a server on the running event loop. The only module, with those it imports, that needs aiohttp."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from worker.sandbox.api.admin import Admin
from worker.sandbox.api.backend import Backend
from worker.sandbox.api.check import PATHS
from worker.sandbox.api.endpoints import Endpoints

_BACKLOG = 1024


@asynccontextmanager
async def listening(backend: Backend, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    """Serve until the block ends; gives the URL. At the end every connection is cut, whatever hangs on it.

    Raises OSError if the address can't be listened on.
    """
    server = _server(backend)
    listener = await asyncio.get_running_loop().create_server(server, host, port, ssl=tls, backlog=_BACKLOG)
    bound = listener.sockets[0].getsockname()
    address = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    try:
        yield f"{'http' if tls is None else 'https'}://{address}:{bound[1]}"
    finally:
        await _stop_accepting(listener)
        await _cut(server)
        backend.ledger.abandon()


def _server(backend: Backend) -> web.Server:
    endpoints, admin = Endpoints(backend), Admin(backend)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        kind = PATHS.get(request.path)
        if kind is None:
            return await admin.answer(request)
        if request.method != "POST":
            backend.elsewhere += 1
            return web.Response(status=405, headers={"Allow": "POST"})
        return await endpoints.answer(kind, request)

    def make_request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        limit = backend.options.max_body_bytes
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=limit)

    # A compressed body stays as it is, as in PHP.
    return web.Server(
        handle, request_factory=make_request, handler_cancellation=True, access_log=None, auto_decompress=False
    )


async def _stop_accepting(listener: asyncio.Server) -> None:
    """Let connections that were accepted come up before the listener closes: asyncio leaks the socket otherwise."""
    loop = asyncio.get_running_loop()
    for listening_socket in listener.sockets:
        loop.remove_reader(listening_socket.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    listener.close()


async def _cut(server: web.Server) -> None:
    """Abort every connection, and wait until their handlers have ended: the loop may close after this."""
    while connections := server.connections:
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)
