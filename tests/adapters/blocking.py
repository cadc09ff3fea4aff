"""The HTTP adapter on an event loop in a thread of its own, for tests that wait for each answer."""

import asyncio
import threading
from typing import Any, Self

import uvloop

from worker.adapters.http import CartApi
from worker.core.outcome import Outcome


class BlockingApi:
    """Context manager. Takes what `CartApi` takes. Thread-safe."""

    def __init__(self, url: str, **settings: Any) -> None:
        self._api = CartApi(url, **settings)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def post(self, path: str, body: bytes) -> Outcome:
        return asyncio.run_coroutine_threadsafe(self._api.post(path, body), self._loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._api.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
