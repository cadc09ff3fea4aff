"""Posts carts and orders to a sandbox as a client would, from outside."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

KEY = "sk_fake"
PRODUCT = {
    "products[0][id]": "1",
    "products[0][name]": "Product 1",
    "products[0][quantity]": "2",
    "products[0][price]": "29.99",
}
CART = {"key": KEY, "id": "1", "currency": "EUR", "visit_id": "v1", "is_logged_in": "0", **PRODUCT}
ORDER = {"key": KEY, "id": "1", "cart_id": "1", "currency": "EUR", "visit_id": "v1", "status": "Completed", **PRODUCT}
SUCCESS = {"status": "success"}


def error(message: str) -> dict[str, str]:
    return {"status": "error", "message": message}


def cart(**changes: str | None) -> dict[str, str]:
    """A valid cart; None leaves a field out."""
    return {name: value for name, value in {**CART, **changes}.items() if value is not None}


def order(**changes: str | None) -> dict[str, str]:
    return {name: value for name, value in {**ORDER, **changes}.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def connection(url: str, timeout: float = 10) -> Iterator[HTTPConnection]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    with closing(HTTPConnection(parts.hostname, parts.port, timeout=timeout)) as opened:
        yield opened


def ask(on: HTTPConnection, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
    on.request(method, path, body, headers)
    response = on.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def send(url: str, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
    with connection(url) as on:
        return ask(on, method, path, body, **headers)


def post(url: str, form: dict[str, str] | str, kind: str = "cart", timeout: float = 10) -> Answer:
    body = form if isinstance(form, str) else urlencode(form)
    with connection(url, timeout) as on:
        on.request("POST", f"/api/customer-{kind}", body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = on.getresponse()
        return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())


@contextmanager
def sent(url: str, form: dict[str, str], kind: str = "cart") -> Iterator[socket.socket]:
    """The connection of a request that has been written and not been read from."""
    parts = urlsplit(url)
    body = urlencode(form).encode()
    head = (
        f"POST /api/customer-{kind} HTTP/1.1\r\nHost: sandbox\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as opened:
        opened.sendall(head.encode() + body)
        yield opened


def read_all(opened: socket.socket) -> bytes:
    """Until the other side closes. Raises ConnectionResetError if it resets."""
    received = b""
    while chunk := opened.recv(65536):
        received += chunk
    return received


def abort(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition; fails when it doesn't come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)
