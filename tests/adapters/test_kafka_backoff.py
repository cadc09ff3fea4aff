"""Where somebody accepts at a broker's address and closes at once, such as a proxy without a broker behind it."""

import socket
import threading
from collections.abc import Iterator

import pytest
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from tests.brokers.tools import wait_until
from worker.adapters.kafka import network

ATTEMPTS = 3


class Closing:
    """Accepts, and closes at once."""

    def __init__(self) -> None:
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._listener.accept()[0].close()
            except OSError:
                return
            self.accepted += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def closing() -> Iterator[Closing]:
    made = Closing()
    yield made
    made.close()


def test_a_connection_that_is_accepted_and_closed_is_not_tried_again_at_once(closing: Closing) -> None:
    """The library would take it for one that was made, and try a thousand times a second."""
    assert KafkaConnectionManager._connect is network._connect_or_back_off
    net = NetworkSelector()
    manager = KafkaConnectionManager(net, bootstrap_servers=[f"127.0.0.1:{closing.port}"])
    node = manager.cluster.bootstrap_brokers()[0].node_id

    def turned(*, delayed: bool) -> bool:
        net.poll(timeout_ms=10)
        return (manager.connection_delay(node) > 0) is delayed

    for attempt in range(1, ATTEMPTS + 1):
        made = manager.get_connection(node, refresh_metadata_on_err=False)
        net.poll(timeout_ms=10_000, future=made.init_future)
        assert made.init_future.failed()
        wait_until(lambda: turned(delayed=True), "a wait before the next attempt", 5)
        assert manager._backoff[node][0] == attempt, "each failure makes it longer"
        wait_until(lambda: turned(delayed=False), "the wait's end", 5)
    assert closing.accepted == ATTEMPTS
    manager.close()
    net.close()
