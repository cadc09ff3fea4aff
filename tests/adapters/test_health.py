"""The pages for probes and Prometheus, beside clients that mean harm, or are broken."""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from tests.brokers.tools import wait_until
from worker.adapters import health
from worker.adapters.health import HealthServer
from worker.ports import Health


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HealthServer]:
    monkeypatch.setattr(health, "_PATIENCE", 0.5)
    well = Health(())
    running = HealthServer("127.0.0.1", 0, metrics=lambda: b"x 1\n", healthz=lambda: well, readyz=lambda: well)
    yield running
    running.close()


def connected(server: HealthServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def cut_off(client: socket.socket) -> bool:
    """Says one more byte, and looks whether anybody listens."""
    try:
        client.sendall(b"x")
        client.settimeout(0.05)
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_client_that_drips_is_cut_off(server: HealthServer) -> None:
    with connected(server) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nX-Drip: ")
        wait_until(lambda: cut_off(client), "the end of the connection", 5)


def test_many_clients_take_neither_threads_nor_sockets_without_end(server: HealthServer) -> None:
    before = threading.active_count()
    clients = [connected(server) for _ in range(200)]
    try:
        refused = wait_until(lambda: sum(map(cut_off, clients)) or None, "some to be refused")
        assert refused
        assert threading.active_count() - before <= 2 * health._AT_ONCE
        wait_until(lambda: all(map(cut_off, clients)), "all of them to be cut off", 10)
        with urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=30) as answer:
            assert answer.status == 200
    finally:
        for client in clients:
            client.close()


def test_a_probe_is_answered_however_many_say_nothing(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scanner that comes back as often as it is cut off must not have the worker restarted."""
    monkeypatch.setattr(health, "_PATIENCE", 60.0)
    clients = [connected(server) for _ in range(health._AT_ONCE)]
    try:
        with urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=30) as answer:
            assert answer.status == 200
    finally:
        for client in clients:
            client.close()


@pytest.fixture
def everywhere() -> Iterator[Callable[[], HealthServer]]:
    """Starts a server on every address."""
    running: list[HealthServer] = []

    def start() -> HealthServer:
        well = Health(())
        running.append(HealthServer("::", 0, metrics=lambda: b"x 1\n", healthz=lambda: well, readyz=lambda: well))
        return running[-1]

    yield start
    for server in running:
        server.close()


def answers(address: str, server: HealthServer) -> bool:
    with urlopen(f"http://{address}:{server.port}/healthz", timeout=30) as answer:
        return bool(answer.status == 200)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_probe_is_answered_on_ipv6_and_on_ipv4(everywhere: Callable[[], HealthServer]) -> None:
    server = everywhere()

    assert answers("[::1]", server)
    assert answers("127.0.0.1", server)


def test_a_probe_is_answered_on_ipv4_where_there_is_no_ipv6(
    everywhere: Callable[[], HealthServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ipv4Only(socket.socket):
        def __init__(self, family: int = -1, *rest: Any, **named: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *rest, **named)

    monkeypatch.setattr(socket, "socket", Ipv4Only)

    assert answers("127.0.0.1", everywhere())


def test_a_port_that_is_taken_is_named_with_its_variables(everywhere: Callable[[], HealthServer]) -> None:
    well = Health(())
    port = everywhere().port
    with pytest.raises(OSError, match=f"can't listen on :: port {port} .WORKER_HTTP_HOST, WORKER_HTTP_PORT"):
        HealthServer("::", port, metrics=lambda: b"", healthz=lambda: well, readyz=lambda: well)
