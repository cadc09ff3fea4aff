"""The API that is measured against: a program of its own that costs next to nothing, and keeps what it was sent.

It accepts everything, after a latency, with times to the fraction of a millisecond. One thread, no library: a request
costs it some 20 µs, so that it is never what is measured (`python -m tests.bench --only target` shows it).

POST /_set takes JSON: `latency` and `jitter` (seconds; an answer takes latency ± jitter), `status`, `reset`.
GET /_count answers with counts and this program's clock, GET /_log with a row for each request.
"""

import heapq
import json
import random
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

#: What is kept of a body (bytes): id and version stand at its beginning.
_KEPT = 4096
_BODIES = {200: b'{"status":"success"}'}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"(?:^|&)id=([^&]*)")
_VERSION = re.compile(rb"quantity(?:%5D|\])=(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Exchange:
    """A request and when it came and went (UNIX seconds). `answered` 0: not yet."""

    body: bytes
    arrived: float
    status: int
    answered: float = 0.0


@dataclass(slots=True)
class Connection:
    socket: socket.socket
    unread: bytearray = field(default_factory=bytearray)


@dataclass
class Target:
    latency: float = 0.0
    jitter: float = 0.0
    status: int = 200
    log: list[Exchange] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self._draw = random.Random(1)
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[float, int, Connection, Exchange]] = []
        self._order = count()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """For ever."""
        listener = self._listener.fileno()
        while True:
            for number, _ in self._ready():
                if number == listener:
                    self._accept()
                else:
                    self._read(self._connections[number])
            while self._due and self._due[0][0] <= time.time():
                _, _, connection, exchange = heapq.heappop(self._due)
                self._answer(connection, exchange)

    def _ready(self) -> list[tuple[int, int]]:
        """epoll counts whole milliseconds, rounded up; select does not."""
        if not self._due:
            return self._epoll.poll()
        select.select([self._epoll.fileno()], [], [], max(0.0, self._due[0][0] - time.time()))
        return self._epoll.poll(0)

    def _accept(self) -> None:
        accepted, _ = self._listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[accepted.fileno()] = Connection(accepted)
        self._epoll.register(accepted.fileno(), select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.unread += data
        while (end := connection.unread.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(connection.unread, 0, end)
            total = end + 4 + (int(length[1]) if length is not None else 0)
            if len(connection.unread) < total:
                return
            path = bytes(connection.unread[: connection.unread.find(b"\r")]).split(b" ")[1]
            body = bytes(connection.unread[end + 4 : total])
            del connection.unread[:total]
            if path.startswith(b"/_"):
                self._control(connection, path, body)
            else:
                self._take(connection, body)

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.socket.fileno(), None) is not None:
            self._epoll.unregister(connection.socket.fileno())
            connection.socket.close()

    def _take(self, connection: Connection, body: bytes) -> None:
        now = time.time()
        exchange = Exchange(body[:_KEPT], now, self.status)
        self.log.append(exchange)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.latency == 0:
            self._answer(connection, exchange)
            return
        wait = self.latency + (self._draw.uniform(-self.jitter, self.jitter) if self.jitter else 0.0)
        heapq.heappush(self._due, (now + wait, next(self._order), connection, exchange))

    def _answer(self, connection: Connection, exchange: Exchange) -> None:
        self.in_flight -= 1
        body = _BODIES.get(exchange.status, b"unavailable")
        head = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        try:
            connection.socket.send(head % (exchange.status, len(body)) + body)
        except OSError:  # whoever asked is gone, killed perhaps
            self._close(connection)
        else:
            exchange.answered = time.time()

    # What the benchmark asks.

    def _control(self, connection: Connection, path: bytes, body: bytes) -> None:
        answers: dict[bytes, Callable[[], Any]] = {b"/_set": lambda: self._set(json.loads(body)), b"/_log": self._rows}
        asked: Callable[[], Any] = answers.get(path) or self._count
        answer = json.dumps(asked()).encode()
        connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)

    def _set(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted.pop("reset", False):
            self.log = []  # what is in flight belongs to before
            self.most_in_flight = self.in_flight
        for name, value in wanted.items():
            setattr(self, name, value)
        return self._count()

    def _count(self) -> dict[str, Any]:
        return {
            "at": time.time(),
            "requests": len(self.log),
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
        }

    def _rows(self) -> list[tuple[str, int, float, float, int]]:
        """Id, version, arrived, answered, status."""
        return [(*_read_form(each.body), each.arrived, each.answered, each.status) for each in self.log]


def _read_form(body: bytes) -> tuple[str, int]:
    name, version = _ID.search(body), _VERSION.search(body)
    return name[1].decode() if name is not None else "", int(version[1]) if version is not None else -1


def main() -> None:
    target = Target()
    sys.stdout.write(f"{target.port}\n")
    sys.stdout.flush()
    target.serve()


if __name__ == "__main__":
    main()
