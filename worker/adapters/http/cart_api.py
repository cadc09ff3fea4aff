"""The Cart API: an exchange with it becomes an outcome."""

import time
from pathlib import Path
from typing import Final, Self

from worker.adapters.http.client import ExchangeFailed, HttpClient
from worker.core.outcome import Outcome, classify, connection_failed, parse_retry_after, timed_out

HEADERS: Final = "content-type: application/x-www-form-urlencoded\r\naccept: application/json\r\n"


class CartApi:
    """See `worker.ports.Api`, and `HttpClient` for what is taken."""

    def __init__(
        self, url: str, *, timeout: float, ca_file: str | Path | None = None, max_connection_age: float = 300.0
    ) -> None:
        self._client = HttpClient(url, timeout=timeout, ca_file=ca_file, max_connection_age=max_connection_age)
        self._heads: dict[str, bytes] = {}

    async def post(self, path: str, body: bytes) -> Outcome:
        """One exchange, which takes the time-out at most; never raises for what the network or the API does."""
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = self._client.head("POST", path, HEADERS)
        try:
            answer = await self._client.exchange(head, body)
        except ExchangeFailed as failure:
            if failure.timed_out:
                return timed_out(written=failure.written)
            return connection_failed(str(failure), written=failure.written)
        retry_after = None if answer.retry_after is None else parse_retry_after(answer.retry_after, time.time())
        return classify(answer.status, answer.body, retry_after)

    async def close(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
