"""The proxy does what the scenarios believe that it does."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.chaos.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before a server that sends back what it gets."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=_echo_all, args=(server,), daemon=True).start()
        with Proxy("127.0.0.1", server.getsockname()[1]) as proxy:
            yield proxy
        server.shutdown(socket.SHUT_RDWR)


def _echo_all(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(1024):
                connection.sendall(data)
        except OSError:
            return


def client(proxy: Proxy, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def test_it_passes_everything_on(proxy: Proxy) -> None:
    with client(proxy) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
    assert proxy.connections == 1


def test_a_cut_resets_and_refuses_until_it_is_restored(proxy: Proxy) -> None:
    with client(proxy) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with client(proxy) as connection:
        assert _ended(connection)
    proxy.restore()
    with client(proxy) as connection:
        connection.sendall(b"again")
        assert connection.recv(100) == b"again"


def test_a_black_hole_tells_nobody(proxy: Proxy) -> None:
    with client(proxy, timeout=0.3) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        proxy.blackhole()
        connection.sendall(b"lost")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        proxy.restore()
        assert _ended(connection)


def test_slow_is_late(proxy: Proxy) -> None:
    with client(proxy) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        proxy.slow(0.2)
        started = time.monotonic()
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        assert time.monotonic() - started >= 0.4


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True
