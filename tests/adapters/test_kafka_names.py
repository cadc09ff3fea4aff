"""A name server that is slow, or out of order, beside a client that has other things to do."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from tests.adapters.test_kafka_backoff import Closing
from tests.brokers.tools import wait_until
from worker.adapters.kafka import names

HOST = "broker.example"


class NameServer:
    """Knows one host, at this machine, once it answers."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0
        self._really = socket.getaddrinfo

    def __call__(self, host: str, port: int, family: int = 0, kind: int = 0, *, flags: int = 0) -> Any:
        if host != HOST or flags & socket.AI_NUMERICHOST:
            return self._really(host, port, family, kind, flags=flags)
        self.asked += 1
        if not self.answers.wait(30):
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return self._really("127.0.0.1", port, family, kind)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    made = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    monkeypatch.setattr(names.NAMES, "_known", {})
    yield made
    made.answers.set()


@pytest.fixture
def closing() -> Iterator[Closing]:
    made = Closing()
    yield made
    made.close()


@pytest.fixture
def net() -> Iterator[NetworkSelector]:
    made = NetworkSelector()
    yield made
    made.close()


def start(net: NetworkSelector, closing: Closing) -> Any:
    """A connection to the host, under way."""
    manager = KafkaConnectionManager(net, bootstrap_servers=[f"{HOST}:{closing.port}"])
    return manager.get_connection(manager.cluster.bootstrap_brokers()[0].node_id, refresh_metadata_on_err=False)


def turned(net: NetworkSelector) -> bool:
    net.poll(timeout_ms=10)
    return True


def test_what_else_the_client_has_to_do_does_not_wait_for_it(
    net: NetworkSelector, name_server: NameServer, closing: Closing
) -> None:
    """Heartbeats above all."""
    start(net, closing)
    wait_until(lambda: turned(net) and name_server.asked, "the question")
    beats: list[float] = []
    net.call_later(0.05, lambda: beats.append(time.monotonic()))
    wait_until(lambda: turned(net) and beats, "what is due meanwhile", 2)
    assert closing.accepted == 0
    name_server.answers.set()
    wait_until(lambda: turned(net) and closing.accepted, "the connection", 5)


def test_the_last_answer_serves_while_there_is_no_new_one(
    net: NetworkSelector, name_server: NameServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "AGAIN_WITHIN", 0.2)
    name_server.answers.set()
    start(net, closing)
    wait_until(lambda: turned(net) and closing.accepted == 1, "the first connection", 5)
    name_server.answers.clear()
    start(net, closing)
    wait_until(lambda: turned(net) and closing.accepted == 2, "the second one", 5)
