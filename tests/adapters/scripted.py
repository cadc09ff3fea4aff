"""A server whose every connection runs a script: what no well-behaved server would do."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ACCEPTED = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status":"success"}'

Script = Callable[[socket.socket], None]


@dataclass
class Scripted:
    """`accepted` counts connections, `gone` those whose script has ended."""

    port: int
    accepted: int = 0
    gone: int = 0
    failures: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Runs the script for each connection, on a thread of its own; the connection is closed when it returns."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = Scripted(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def run(peer: socket.socket) -> None:
        with suppress(OSError), peer if tls is None else tls.wrap_socket(peer, server_side=True) as connection:
            script(connection)
        server.gone += 1

    def accept() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peer.settimeout(20)
                server.accepted += 1
                threads.append(threading.Thread(target=run, args=(peer,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)


def request(peer: socket.socket) -> bytes:
    """The next request whole; empty: the peer has closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = peer.recv(65536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        part = peer.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


def saying(*answers: bytes) -> Script:
    """Answers each request of a connection with the next of these, then closes it."""

    def script(peer: socket.socket) -> None:
        for answer in answers:
            if not request(peer):
                return
            peer.sendall(answer)

    return script


def always(answer: bytes) -> Script:
    def script(peer: socket.socket) -> None:
        while request(peer):
            peer.sendall(answer)

    return script
