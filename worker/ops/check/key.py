"""Whether the API knows the key: by posting it and nothing else, which no cart and no order comes of."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
from pyreqwest.client import SyncClient
from pyreqwest.exceptions import PyreqwestError

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


def check(client: SyncClient, settings: Optico) -> Iterator[Finding]:
    """One finding. Blocks for the client's time-out at most."""
    try:
        body = urlencode({"key": settings.api_key.value}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        response = client.post(f"{settings.url}/api/customer-cart").headers(headers).body_bytes(body).build().send()
        status, answer = response.status, _envelope(response.bytes().to_bytes())
    except PyreqwestError as error:
        yield _unknown(f"no answer to the key: {error.message}")
        return
    if status >= _SERVER_ERRORS or answer is None:
        yield _unknown(f"HTTP {status}{'' if answer else ' without the JSON of the API'}")
    elif _refused(answer):
        yield red(
            "key", _NAME, "the API refuses it", "take the key from your Optico account under Manage APIs", known=False
        )
    else:
        message = Mask(lambda: settings.api_key.known)(answer)[:_LONGEST_MESSAGE]
        yield ok("key", _NAME, f"the API knows it (to the key alone it says: {message or 'success'})", known=True)


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
