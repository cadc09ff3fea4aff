"""The ways in which a broker's address may be written."""

import socket

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.chaos.proxy import Proxy
from tests.settings.environments import LEAST
from worker.adapters.kafka.admin import open_admin
from worker.settings import load


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("protocol", ["", "PLAINTEXT://"])
def test_a_broker_is_reached_at_an_address_of_ipv6(kafka: KafkaCluster | ExternalCluster, protocol: str) -> None:
    host, port = kafka.bootstrap.split(",")[0].rsplit(":", 1)
    with Proxy(host, int(port), at="::1") as proxy:
        settings = load({**LEAST, "KAFKA_BOOTSTRAP_SERVERS": f"{protocol}{proxy.address}"})
        with open_admin(settings.kafka) as admin:
            assert admin.cluster().brokers
        assert proxy.connections
