"""Servers that stand for the API, or for what stands before it, with one fixed answer."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def answering(
    status: int = 200, *, clock: float | None = 0.0, tls: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Its address. `clock`: how far its clock is ahead (s); None: it tells no date. `tls`: key and certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            if clock is not None:
                self.send_header("Date", formatdate(time.time() + clock, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a refused handshake is no news
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
