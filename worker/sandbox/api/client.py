"""Steers a sandbox that runs in another process, with the methods of `Sandbox`."""

import ssl as tls
from collections.abc import Iterable
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import orjson
from pydantic import TypeAdapter

from worker.sandbox.api.check import Kind
from worker.sandbox.api.errors import FaultsError, SandboxError, SandboxUnavailableError
from worker.sandbox.api.faults import Rule
from worker.sandbox.api.views import SandboxState, SeenRequest, StoredRecord

_STATE: Final = TypeAdapter(SandboxState)
_RECORDS: Final = TypeAdapter(list[StoredRecord])
_REQUESTS: Final = TypeAdapter(list[SeenRequest])


class SandboxControl:
    """Every call is one connection of its own and blocks for `timeout` seconds between bytes at most.

    Raises SandboxUnavailableError if nothing answers there, SandboxError if something refuses. `ssl`: a client context
    for a sandbox with a certificate that the system doesn't know. No proxy is used. Thread-safe.
    """

    def __init__(self, url: str, *, timeout: float = 30, ssl: tls.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or parts.hostname is None:
            raise SandboxError(f"expected an http or https URL, found {url!r}")
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._timeout, self._tls = timeout, ssl

    def __repr__(self) -> str:
        return f"<SandboxControl {self.url}>"

    def set_faults(self, faults: Iterable[Any]) -> None:
        """Replace the faults: rules, or what their JSON holds. Raises FaultsError that names the fields."""
        rules = [_jsonable(fault) for fault in faults]
        self._send("PUT", "faults", orjson.dumps(rules, default=_default))

    def clear_faults(self) -> None:
        self._send("DELETE", "faults")

    def set_keys(self, keys: Iterable[str] | None) -> None:
        """The keys that are valid from now on; None: any that is not empty."""
        self._send("PUT", "keys", orjson.dumps(None if keys is None else sorted(keys)))

    def set_unknown_visits(self, visits: Iterable[str]) -> None:
        self._send("PUT", "visits", orjson.dumps(sorted(visits)))

    def reset(self) -> None:
        """Forget requests, records and counts; what is in flight changes nothing any more. Sequence numbers go on."""
        self._send("POST", "reset")

    def state(self) -> SandboxState:
        return _STATE.validate_json(self._send("GET", "state"))

    def records(self, kind: Kind | None = None, id: str | None = None) -> list[StoredRecord]:  # noqa: A002
        """The records, the one that was updated last first."""
        return _RECORDS.validate_json(self._get("records", kind=kind, id=id))

    def requests(
        self,
        after: int = 0,
        kind: Kind | None = None,
        id: str | None = None,  # noqa: A002 - the API's own word
        limit: int | None = None,
    ) -> list[SeenRequest]:
        """The kept requests with a sequence number above `after`, in order of arrival."""
        return _REQUESTS.validate_json(self._get("requests", after=after, kind=kind, id=id, limit=limit))

    def _get(self, what: str, **query: str | int | None) -> bytes:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return self._send("GET", f"{what}?{given}")

    def _send(self, method: str, what: str, body: bytes | None = None) -> bytes:
        with closing(self._connection()) as connection:
            try:
                connection.request(method, f"/_sandbox/{what}", body, {"Connection": "close"})
                response = connection.getresponse()
                status, answer = response.status, response.read()
            except (OSError, HTTPException) as error:
                raise SandboxUnavailableError(f"no sandbox answers at {self.url}: {error}") from error
        if status >= 400:  # noqa: PLR2004 - HTTP
            raise _refusal(what, status, answer)
        return answer

    def _connection(self) -> HTTPConnection:
        if self._secure:
            return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        return HTTPConnection(self._host, self._port, timeout=self._timeout)


def _jsonable(fault: Any) -> Any:
    return fault.model_dump(mode="json", exclude_unset=True) if isinstance(fault, Rule) else fault


def _default(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError


def _refusal(what: str, status: int, answer: bytes) -> SandboxError:
    try:
        problems = [str(problem) for problem in orjson.loads(answer)["problems"]]
    except (ValueError, KeyError, TypeError):
        problems = [f"HTTP {status}"]
    return FaultsError(problems) if what == "faults" else SandboxError("; ".join(problems))
