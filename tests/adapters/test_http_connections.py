"""How long the connections to the API are used, and what becomes of a request on one that the API has closed."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.adapters.blocking import BlockingApi
from tests.brokers.tools import wait_until
from worker.core.outcome import Outcome, Result

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status":"success"}'
BODY = b"id=1&end"


@dataclass
class Connection:
    opened: float
    answered: list[float] = field(default_factory=list)
    written_in_vain: bool = False
    gone: bool = False

    @property
    def age(self) -> float:
        """How old it was when it was used last."""
        return self.answered[-1] - self.opened if self.answered else 0.0


class Server:
    """Accepts every cart after `latency` seconds. After so many `requests` a connection takes no more."""

    def __init__(self) -> None:
        self.latency, self.requests = 0.0, 1_000_000
        self.connections: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            made = Connection(time.monotonic())
            self.connections.append(made)
            threading.Thread(target=self._serve, args=(peer, made), daemon=True).start()

    def _serve(self, peer: socket.socket, made: Connection) -> None:
        with peer:
            while len(made.answered) < self.requests and self._request(peer):
                time.sleep(self.latency)
                peer.sendall(ANSWER)
                made.answered.append(time.monotonic())
            peer.shutdown(socket.SHUT_WR)
            made.written_in_vain = self._request(peer)
        made.gone = True

    def _request(self, peer: socket.socket) -> bool:
        received = b""
        while not received.endswith(BODY):
            try:
                chunk = peer.recv(65536)
            except OSError:
                return False
            if not chunk:
                return False
            received += chunk
        return True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def test_no_connection_is_used_beyond_its_age_and_no_request_suffers(server: Server) -> None:
    """Not even by a request that started just before."""
    age, server.latency = 1.0, 0.05
    until = time.monotonic() + 3.5 * age

    with BlockingApi(server.url, timeout=0.4, max_connection_age=age) as api:

        def post(_: int) -> list[Outcome]:
            outcomes = []
            while time.monotonic() < until:
                outcomes.append(api.post("/api/customer-cart", BODY))
            return outcomes

        with ThreadPoolExecutor(4) as pool:
            outcomes = [outcome for found in pool.map(post, range(4)) for outcome in found]
        # What was replaced is closed, not kept beside the new ones.
        wait_until(lambda: sum(not each.gone for each in server.connections) <= 4, "the old connections to end", 5)

    assert {outcome.result for outcome in outcomes} == {Result.DELIVERED}
    assert max(each.age for each in server.connections) <= age
    assert len(server.connections) >= 8, "at least two generations of four"
    assert max(len(each.answered) for each in server.connections) > 1, "they are kept until then"


def test_a_request_of_which_nothing_was_written_on_a_closed_connection_is_repeated_at_once(server: Server) -> None:
    """The API closes each connection after one answer. What fails is only what reached it on one of these."""
    server.requests = 1
    with BlockingApi(server.url, timeout=2.0) as api:

        def post(_: int) -> Outcome:
            return api.post("/api/customer-cart", BODY)

        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(post, range(400)))
    wait_until(lambda: all(each.gone for each in server.connections), "all connections to end", 5)

    failed = [outcome for outcome in outcomes if outcome.result is not Result.DELIVERED]
    assert len(failed) == sum(each.written_in_vain for each in server.connections)
    assert all(outcome.ambiguous for outcome in failed), "it was written"
    assert len(outcomes) - len(failed) == sum(len(each.answered) for each in server.connections), "each once"
