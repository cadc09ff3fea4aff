"""Brokers that come back under new addresses, behind a name that has changed with them (KIP-899)."""

import socket
from typing import Any

import pytest

from tests.brokers.tools import produce, wait_until
from tests.conftest import ClusterFactory
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.test_membership import POLL, Told, member
from worker.adapters.kafka import bootstrap
from worker.ports import Membership
from worker.sandbox.api import Sandbox

NAME = "broker.example"


class Address:
    """What the name stands for at the moment."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self._really = socket.getaddrinfo

    def __call__(self, host: str, *args: Any, **kwargs: Any) -> Any:
        if host == NAME and kwargs.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        return self._really(self.host if host == NAME else host, *args, **kwargs)


def test_a_member_finds_brokers_that_all_came_back_under_new_addresses(
    kafka_cluster: ClusterFactory, group: str, api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart; at the former address nobody listens any more."""
    monkeypatch.setattr(bootstrap, "BOOTSTRAP_AFTER", 1.0)
    address = Address()
    monkeypatch.setattr(socket, "getaddrinfo", address)
    cluster = kafka_cluster()
    cluster.create_topic("carts")
    port = cluster.bootstrap.rpartition(":")[2]
    told, found = Told(), list[bytes | None]()

    with member(Stage(f"{NAME}:{port}", "carts", group, api), told, KAFKA_SESSION_TIMEOUT_MS="10000") as consumer:

        def read() -> list[bytes | None]:
            for records in consumer.poll(POLL).values():
                found.extend(record.key for record in records)
            return found

        produce(cluster.internal, "carts", [cart("1")])
        wait_until(lambda: read() == [b"cart:1"], "the first record", 30)

        cluster.move(0, "127.0.0.2")
        address.host = "127.0.0.2"
        produce(cluster.internal, "carts", [cart("2")])
        wait_until(lambda: read() == [b"cart:1", b"cart:2"], "the record at the new address", 40)
        wait_until(lambda: [read()] and consumer.membership() is Membership.STABLE, "the group at the new address", 30)
