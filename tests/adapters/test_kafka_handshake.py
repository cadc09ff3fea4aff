"""A broker's address where somebody accepts and never says a word: a frozen process, an idle load balancer."""

import socket
import threading
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, KafkaProducer

from tests.brokers.tools import wait_until
from worker.adapters.kafka import network
from worker.adapters.kafka.connection import connect
from worker.ports import UnavailableError
from worker.settings import Kafka, load

PATIENCE = 0.5


class Mute:
    """Accepts, and keeps what it has accepted."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.accepted: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.accepted.append(accepted)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for each in self.accepted:
            each.close()


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mute]:
    monkeypatch.setattr(network, "HANDSHAKE_WITHIN", PATIENCE)
    listener = Mute()
    yield listener
    listener.close()


def settings(mute: Mute) -> Kafka:
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{mute.port}",
        "KAFKA_TOPICS": "carts",
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "OPTICO_URL": "http://127.0.0.1:1",
        "OPTICO_API_KEY": "sk_fake",
    }
    return load(variables).kafka


@pytest.mark.parametrize("kind", [KafkaConsumer, KafkaProducer])
def test_a_tls_handshake_that_is_not_answered_ends(mute: Mute, kind: type) -> None:
    """The library waits for it without end, and with it the thread that wants a client."""
    ended: list[Exception] = []

    def begin() -> None:
        try:
            connect(kind, settings(mute), bootstrap_timeout_ms=1000)
        except Exception as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    threading.Thread(target=begin, daemon=True).start()
    wait_until(lambda: ended, "the end", 10)
    assert isinstance(ended[0], UnavailableError)
    assert len(mute.accepted) > 1, "it must be tried again meanwhile"
