"""The two endpoints of the API over HTTP: read, check, take effect, answer; and a fault, where one is set."""

import asyncio

from aiohttp import web

from worker.sandbox.api.actions import ANSWERS, JSON, Answering
from worker.sandbox.api.backend import Backend
from worker.sandbox.api.check import BODIES, Kind, Verdict
from worker.sandbox.api.ledger import Exchange
from worker.sandbox.api.schedule import ActiveRule

_FORM = "application/x-www-form-urlencoded"


class Endpoints:
    """Answers requests. The server must cancel the handler of a client that has gone."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._ledger = backend.ledger

    async def answer(self, kind: Kind, request: web.BaseRequest) -> web.StreamResponse:
        exchange = self._ledger.arrive(kind)
        try:
            body = await request.read()
            is_form = request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == _FORM
            verdict = self._backend.read(exchange, body, is_form=is_form)
            active = self._backend.schedule.take(kind, exchange.id)
            if active is not None:
                return await self._faulty(request, exchange, verdict, active)
        except web.HTTPRequestEntityTooLarge:
            self._ledger.finish(exchange, "too_large", 413)
            raise
        except (asyncio.CancelledError, ConnectionError, web.RequestPayloadError):
            self._gone(exchange)
            raise
        if verdict is Verdict.SUCCESS:
            self._ledger.apply(exchange)
        return self._true(exchange, verdict)

    async def _faulty(
        self, request: web.BaseRequest, exchange: Exchange, verdict: Verdict, active: ActiveRule
    ) -> web.StreamResponse:
        rule, action = active.rule, active.rule.action
        exchange.fault = action or ("apply" if rule.latency is None else "latency")
        delay = active.latency()
        if verdict is Verdict.SUCCESS and rule.applies:
            self._land(exchange, delay if rule.apply_after_ms is None else rule.apply_after_ms / 1000)
        if delay > 0:
            await asyncio.sleep(delay)
        if action is None:
            return self._true(exchange, verdict)

        def finish(status: int | None) -> None:
            self._ledger.finish(exchange, action, status)

        return await ANSWERS[action](Answering(request, exchange, rule, BODIES[verdict], finish))

    def _land(self, exchange: Exchange, after: float) -> None:
        """Take effect `after` seconds from now, whether or not the client is still there then."""
        self._ledger.expect(exchange)
        if after > 0:
            asyncio.get_running_loop().call_later(after, self._ledger.land, exchange)
        else:
            self._ledger.land(exchange)

    def _true(self, exchange: Exchange, verdict: Verdict) -> web.Response:
        self._ledger.finish(exchange, verdict.outcome, 200)
        return web.Response(body=BODIES[verdict], content_type=JSON)

    def _gone(self, exchange: Exchange) -> None:
        answered = exchange.status is not None or exchange.fault == "hang"
        outcome = exchange.fault if answered and exchange.fault is not None else "client_gone"
        self._ledger.finish(exchange, outcome, exchange.status, client_gone=True)
