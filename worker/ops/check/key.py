"""Whether the API knows the key: by posting it and nothing else, which no cart and no order comes of."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import orjson

from worker.adapters.http import HEADERS, Answer, ExchangeFailed, HttpClient
from worker.adapters.logs import Mask
from worker.core.outcome import KEY_REFUSED_MESSAGE
from worker.ops.check.finding import Finding, ok, red, warn
from worker.settings import Optico

_NAME = "OPTICO_API_KEY"
_SERVER_ERRORS = 500
_LONGEST_MESSAGE = 200


def untried() -> Finding:
    """What is said of a key that was not to be posted."""
    return warn("key", _NAME, "not tried", "check --key posts it to the API, and nothing else", known=None)


def check(client: HttpClient, settings: Optico) -> Finding:
    """Blocks for the client's time-out at most."""
    try:
        answer = asyncio.run(_post(client, urlencode({"key": settings.api_key.value}).encode()))
    except ExchangeFailed as failure:
        return _unknown(f"no answer to the key: {failure}")
    status, message = answer.status, _envelope(answer.body)
    if status >= _SERVER_ERRORS or message is None:
        return _unknown(f"HTTP {status}{'' if message else ' without the JSON of the API'}")
    if _refused(message):
        remedy = "take the key from your Optico account under Manage APIs"
        return red("key", _NAME, "the API refuses it", remedy, known=False)
    said = Mask(lambda: settings.api_key.known)(message)[:_LONGEST_MESSAGE]
    return ok("key", _NAME, f"the API knows it (to the key alone it says: {said or 'success'})", known=True)


async def _post(client: HttpClient, body: bytes) -> Answer:
    try:
        return await client.exchange(client.head("POST", "/api/customer-cart", HEADERS), body)
    finally:
        await client.close()


def _unknown(what: str) -> Finding:
    return red("key", _NAME, what, "see the line of the API; then try again", known=None)


def _refused(message: str) -> bool:
    return message.strip().rstrip(".").casefold() == KEY_REFUSED_MESSAGE.casefold()


def _envelope(body: bytes) -> str | None:
    """The message in the API's JSON; None: it is none of the API's."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
        return None
    return str(answer.get("message") or "")
