"""What steers and shows a running sandbox: `/_sandbox/…` and the page at `/`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from worker.sandbox.api.backend import Backend
from worker.sandbox.api.check import Kind
from worker.sandbox.api.errors import FaultsError
from worker.sandbox.api.faults import parse_faults
from worker.sandbox.api.page import render_page

_STRINGS: Final = TypeAdapter(frozenset[str])
_KEYS: Final = TypeAdapter(frozenset[str] | None)
_Route: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Admin:
    """Routes by method and path; everything else is 404 and counted as `elsewhere`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._routes: dict[tuple[str, str], _Route] = {
            ("GET", "/"): self._page,
            ("GET", "/_sandbox/state"): self._state,
            ("GET", "/_sandbox/records"): self._records,
            ("GET", "/_sandbox/requests"): self._requests,
            ("PUT", "/_sandbox/faults"): self._set_faults,
            ("DELETE", "/_sandbox/faults"): self._clear_faults,
            ("PUT", "/_sandbox/keys"): self._set_keys,
            ("PUT", "/_sandbox/visits"): self._set_visits,
            ("POST", "/_sandbox/reset"): self._reset,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._routes.get((request.method, request.path))
        if route is None:
            self._backend.elsewhere += 1
            return web.Response(status=404, text="Not found\n")
        try:
            return await route(request)
        except FaultsError as error:
            return _refused(error.problems)
        except ValidationError as error:
            return _refused([f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()])
        except ValueError as error:
            return _refused([str(error)])

    async def _page(self, _: web.BaseRequest) -> web.StreamResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return web.Response(
            text=render_page(self._backend), content_type="text/html", headers={"Content-Security-Policy": policy}
        )

    async def _state(self, _: web.BaseRequest) -> web.StreamResponse:
        return _json(self._backend.state())

    async def _records(self, request: web.BaseRequest) -> web.StreamResponse:
        kind, entity_id = _which(request)
        return await _stream(request, self._backend.records(kind, entity_id))

    async def _requests(self, request: web.BaseRequest) -> web.StreamResponse:
        kind, entity_id = _which(request)
        after, limit = _number(request, "after") or 0, _number(request, "limit")
        return await _stream(request, self._backend.requests(after, kind, entity_id, limit))

    async def _set_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        self._backend.set_faults(parse_faults(await request.read()))
        return _json(self._backend.schedule.states())

    async def _clear_faults(self, _: web.BaseRequest) -> web.StreamResponse:
        self._backend.set_faults([])
        return web.Response(status=204)

    async def _set_keys(self, request: web.BaseRequest) -> web.StreamResponse:
        self._backend.keys = _KEYS.validate_json(await request.read())
        return web.Response(status=204)

    async def _set_visits(self, request: web.BaseRequest) -> web.StreamResponse:
        self._backend.unknown_visits = _STRINGS.validate_json(await request.read())
        return web.Response(status=204)

    async def _reset(self, _: web.BaseRequest) -> web.StreamResponse:
        self._backend.reset()
        return web.Response(status=204)


def _which(request: web.BaseRequest) -> tuple[Kind | None, str | None]:
    kind = request.query.get("kind")
    if kind is None or kind in {"cart", "order"}:
        return kind, request.query.get("id")  # type: ignore[return-value]
    raise ValueError("kind: expected cart or order")


def _number(request: web.BaseRequest, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - int() of any length is slow
        raise ValueError(f"{name}: expected a number that is not negative")
    return int(text)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def _refused(problems: list[str]) -> web.Response:
    return _json({"problems": problems}, status=400)


async def _stream(request: web.BaseRequest, chunks: AsyncIterator[Sequence[Any]]) -> web.StreamResponse:
    """A JSON array, written chunk by chunk so that the endpoints go on answering in between."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    separator = b"["
    async for chunk in chunks:
        await response.write(separator + orjson.dumps(chunk)[1:-1])
        separator = b","
    await response.write(b"[]" if separator == b"[" else b"]")
    return response
