"""The clusters that the other tests stand on."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.security import Mechanism
from tests.brokers.tools import (
    Record,
    committed,
    end_offsets,
    group_members,
    group_state,
    produce,
    produce_in_transaction,
    read_all,
    start_offsets,
    wait_until,
)
from tests.conftest import ClusterFactory, TopicFactory

RECORDS = [Record(b"key-%d" % i, b"value-%d" % i) for i in range(3)]


def test_a_broker_finds_its_address_and_its_data_again(kafka_cluster: ClusterFactory) -> None:
    cluster = kafka_cluster()
    cluster.create_topic("kept")
    written = produce(cluster.bootstrap, "kept", RECORDS)
    before = cluster.pid(0)
    cluster.kill(0)
    assert not alive(before)
    cluster.start(0)
    assert cluster.pid(0) != before
    assert read_all(cluster.bootstrap, "kept") == written
    cluster.restart(0)
    assert read_all(cluster.bootstrap, "kept") == written
    assert "Kafka Server started" in cluster.log_tail(0)


def test_a_cluster_leaves_no_process_and_no_folder(
    kafka_cluster: ClusterFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kafka_cluster  # knows whether one may be started here
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with suppress(KeyboardInterrupt), KafkaCluster() as cluster:
        pid = cluster.pid(0)
        assert alive(pid)
        assert list(tmp_path.iterdir())
        raise KeyboardInterrupt
    assert not alive(pid)
    assert not list(tmp_path.iterdir())


def test_a_replicated_topic_survives_its_leader(kafka_cluster: ClusterFactory) -> None:
    cluster = kafka_cluster(3)
    cluster.create_topic("copied", replication=3, config={"min.insync.replicas": "2"})
    written = produce(cluster.bootstrap, "copied", RECORDS)
    leader = cluster.leader("copied")
    cluster.kill(leader)
    wait_until(lambda: cluster.leader("copied") not in (-1, leader), "another leader")
    written += produce(cluster.bootstrap, "copied", RECORDS)
    cluster.start(leader)
    assert read_all(cluster.bootstrap, "copied") == written


def test_clients_log_in_over_tls_with_each_mechanism(kafka_cluster: ClusterFactory) -> None:
    cluster = kafka_cluster(security="SASL_SSL")
    mechanisms: tuple[Mechanism, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    for mechanism in mechanisms:
        assert cluster.security.variables(mechanism)["KAFKA_SASL_MECHANISM"] == mechanism
        with KafkaAdminClient(bootstrap_servers=cluster.bootstrap, **cluster.security.client(mechanism)) as client:
            assert client.list_topics() == []


def test_clients_show_a_certificate(kafka_cluster: ClusterFactory) -> None:
    cluster = kafka_cluster(security="SSL", client_certificate_required=True)
    client = cluster.security.client()
    assert "ssl_keyfile" in client
    cluster.create_topic("shown")
    written = produce(cluster.bootstrap, "shown", RECORDS, **client)
    assert read_all(cluster.bootstrap, "shown", **client) == written


def test_what_was_aborted_is_read_only_by_those_who_ask_for_it(
    kafka: KafkaCluster | ExternalCluster, topic: TopicFactory
) -> None:
    name = topic()
    kept = produce_in_transaction(kafka.bootstrap, name, RECORDS[:1], commit=True)
    aborted = produce_in_transaction(kafka.bootstrap, name, RECORDS[1:], commit=False)
    assert read_all(kafka.bootstrap, name) == kept
    assert read_all(kafka.bootstrap, name, "read_uncommitted") == kept + aborted
    # One of each transaction's own: its marker.
    assert end_offsets(kafka.bootstrap, name) == {0: len(RECORDS) + 2}
    assert start_offsets(kafka.bootstrap, name) == {0: 0}


def test_a_topic_takes_its_configuration(kafka: KafkaCluster | ExternalCluster, topic: TopicFactory) -> None:
    name = topic(max_message_bytes="100")
    with pytest.raises(Exception, match="MessageSizeTooLarge"):
        produce(kafka.bootstrap, name, [Record(b"key", b"x" * 1_000)])


def test_a_group_that_nobody_knows_has_nothing(kafka: KafkaCluster | ExternalCluster, group: str) -> None:
    assert group_state(kafka.bootstrap, group) == "Dead"
    assert group_members(kafka.bootstrap, group) == []
    assert committed(kafka.bootstrap, group, "unknown") == {}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
