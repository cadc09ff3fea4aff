"""`/metrics`, `/healthz` and `/readyz` over HTTP. Served from the first moment, before Kafka is connected."""

import errno
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SHUT_RDWR
from typing import Any

import orjson

from worker.ports import Health

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OK, _NOT_FOUND, _NOT_ALLOWED, _UNAVAILABLE = 200, 404, 405, 503
#: A client keeps its thread no longer than this, however slowly it speaks or reads (s).
_PATIENCE = 10.0
#: Connections at a time: more would take the sockets that the worker itself needs. A new one takes the place of the
#: oldest, as a probe that is answered in a moment needs one, whoever else holds all of them.
_AT_ONCE = 64
#: What a system answers that was built or started without IPv6.
_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT, errno.EPROTONOSUPPORT}


class HealthServer:
    """Serves until `close`. Raises OSError if the address can't be had. `port` is the one that it got.

    `::` means every address, of IPv6 and of IPv4, also on a machine without IPv6.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        metrics: Callable[[], bytes],
        healthz: Callable[[], Health],
        readyz: Callable[[], Health],
    ) -> None:
        pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/metrics": lambda: (_OK, METRICS_TYPE, metrics()),
            "/healthz": lambda: _page(healthz()),
            "/readyz": lambda: _page(readyz()),
        }
        handler = type("Handler", (_Handler,), {"pages": pages})
        try:
            self._server: ThreadingHTTPServer = _listening(host, port, handler)
        except OSError as error:
            raise OSError(
                f"can't listen on {host} port {port} (WORKER_HTTP_HOST, WORKER_HTTP_PORT): {error}"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a full one costs a probe the second that it has
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self._open: dict[Any, float] = {}
        #: Cut off, until their threads have noticed.
        self._ending: set[Any] = set()
        self._lock = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._open) >= _AT_ONCE:
            for oldest in list(self._open)[:1]:
                self._cut_off(oldest)
        if len(self._ending) >= _AT_ONCE:
            self.shutdown_request(request)
            return
        self._open[request] = time.monotonic() + _PATIENCE
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
            self._ending.discard(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Between two looks at the listener: cuts off who is out of time."""
        now = time.monotonic()
        for request in [each for each, until in list(self._open.items()) if until < now]:
            self._cut_off(request)

    def _cut_off(self, request: Any) -> None:
        """Its thread ends by that. One that has ended meanwhile would be counted for ever."""
        with self._lock:
            if self._open.pop(request, None) is None:
                return
            self._ending.add(request)
        with suppress(OSError):
            request.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is its own affair."""


class _Server6(_Server):
    address_family = AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)  # a system's default may be IPv6 alone
        super().server_bind()


def _listening(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> _Server:
    try:
        return (_Server6 if ":" in host else _Server)((host, port), handler)
    except OSError as error:
        if host != "::" or error.errno not in _NO_IPV6:
            raise
    return _Server(("0.0.0.0", port), handler)  # noqa: S104 (as `::` says)


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, Callable[[], tuple[int, str, bytes]]]
    server_version = "optico-worker"
    sys_version = ""

    def do_GET(self) -> None:
        page = self.pages.get(self.path.partition("?")[0])
        if page is None:
            self._answer(_NOT_FOUND, "text/plain", b"see /metrics, /healthz and /readyz\n")
        else:
            self._answer(*page())

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        self._answer(_NOT_ALLOWED, "text/plain", b"GET only\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """A probe every few seconds is no news."""

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _page(health: Health) -> tuple[int, str, bytes]:
    said: dict[str, object] = {"ok": health.ok, "reasons": list(health.reasons)}
    if health.last_events is not None:
        said["last_events"] = {topic: _iso(at) if at else None for topic, at in health.last_events.items()}
    if health.intake_paused:
        said["intake_paused"] = {
            "reasons": list(health.intake_paused),
            "consequence": "records stay unread, and those of calls wait with them",
        }
    body = orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
    return (_OK if health.ok else _UNAVAILABLE), "application/json", body


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
