"""How each fault answers. Every function returns what the server then tries to send, or never returns."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web

from worker.sandbox.api.check import envelope
from worker.sandbox.api.faults import Action, Rule
from worker.sandbox.api.ledger import Exchange

JSON: Final = "application/json"
_HTML = b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>\n"
_GARBAGE = b"PHP Warning:  Undefined array key in /srv/api.php on line 12\n"
_MEGABYTE = b"x" * 1_000_000
# Closing a socket whose linger time is 0 resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Answering:
    """One exchange that a fault applies to.

    `truth` is the body that the API itself would answer. `finish` gets the HTTP status and is called before the last
    byte is written: a client that has read its answer finds the exchange finished.
    """

    request: web.BaseRequest
    exchange: Exchange
    rule: Rule
    truth: bytes
    finish: Callable[[int | None], None]

    def whole(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> web.Response:
        """An answer at once. A content type among the headers wins."""
        self.finish(status)
        given = {"Content-Type": content_type}
        given.update({name.title(): value for name, value in (headers or {}).items()})
        return web.Response(status=status, body=body, headers=given)

    async def begin(self, length: int) -> web.StreamResponse:
        """The head of a 200 that promises `length` bytes."""
        response = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": str(length)})
        self.exchange.status = response.status
        await response.prepare(self.request)
        return response


async def _status(answering: Answering) -> web.StreamResponse:
    rule = answering.rule
    assert rule.status is not None  # noqa: S101 - the rule's action
    return answering.whole(rule.status, (rule.body or "").encode(), "text/plain; charset=utf-8", rule.headers)


async def _drip(answering: Answering) -> web.StreamResponse:
    pause = (answering.rule.drip or 0) / 1000
    response = await answering.begin(len(answering.truth))
    for left, byte in zip(range(len(answering.truth) - 1, -1, -1), answering.truth, strict=True):
        await asyncio.sleep(pause)
        if left == 0:
            answering.finish(response.status)
        await response.write(bytes([byte]))
    return response


async def _reset(answering: Answering) -> web.StreamResponse:
    answering.finish(None)
    transport = answering.request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()


async def _hang(_: Answering) -> web.StreamResponse:
    never: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await never


async def _garbage(answering: Answering) -> web.StreamResponse:
    return answering.whole(200, _GARBAGE, JSON)


async def _html(answering: Answering) -> web.StreamResponse:
    return answering.whole(200, _HTML, "text/html; charset=utf-8")


async def _truncated(answering: Answering) -> web.StreamResponse:
    response = await answering.begin(len(answering.truth) + 1000)
    answering.finish(response.status)
    await response.write(answering.truth)
    if answering.request.transport is not None:
        answering.request.transport.close()
    return response


async def _redirect(answering: Answering) -> web.StreamResponse:
    return answering.whole(302, b"", "text/plain", {"Location": answering.rule.redirect or "/"})


async def _envelope(answering: Answering) -> web.StreamResponse:
    given = answering.rule.envelope
    assert given is not None  # noqa: S101 - the rule's action
    message = given.message and given.message.replace("{id}", str(answering.exchange.id))
    return answering.whole(200, envelope(given.status, message), JSON)


async def _huge(answering: Answering) -> web.StreamResponse:
    megabytes = answering.rule.huge or 0
    response = await answering.begin(megabytes * len(_MEGABYTE))
    for left in range(megabytes - 1, -1, -1):
        if left == 0:
            answering.finish(response.status)
        await response.write(_MEGABYTE)
    return response


Answer: TypeAlias = Callable[[Answering], Awaitable[web.StreamResponse]]
ANSWERS: Final[dict[Action, Answer]] = {
    "status": _status,
    "drip": _drip,
    "reset": _reset,
    "hang": _hang,
    "garbage": _garbage,
    "html": _html,
    "truncated": _truncated,
    "redirect": _redirect,
    "envelope": _envelope,
    "huge": _huge,
}
