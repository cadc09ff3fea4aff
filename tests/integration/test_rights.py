"""Rights that come and go while the worker runs, and a static member's name that another one takes."""

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from tests.brokers.kafka import KafkaCluster
from tests.brokers.security import USERNAME
from tests.brokers.tools import Record, committed, group_state, produce, read_all, wait_until
from tests.conftest import ClusterFactory
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import worker
from tests.integration.test_life import Stages
from worker.sandbox.api import Sandbox

_WRITE_LETTERS = (ACLOperation.WRITE, ResourceType.TOPIC, "letters")


def test_letters_wait_for_a_right_that_was_withdrawn(kafka_cluster: ClusterFactory, api: Sandbox) -> None:
    """Without the right to write letters intake pauses, what waits for one stays uncommitted, and sending goes on."""
    authorizer = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # the internal listener's
    }
    cluster = kafka_cluster(security="SASL_PLAINTEXT", properties=authorizer)
    for name in ("carts", "letters"):
        cluster.create_topic(name)
    group_state(cluster.internal, "any")
    _grant(cluster, ACLOperation.READ, ResourceType.TOPIC, "carts")
    _grant(cluster, ACLOperation.READ, ResourceType.GROUP, "optico-worker")
    _grant(cluster, *_WRITE_LETTERS)
    variables = cluster.security.variables() | {
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
        "KAFKA_TOPICS": "carts",
        "KAFKA_DLQ_TOPIC": "letters",
        "OPTICO_URL": api.url,
    }
    with worker(**variables) as w:
        produce(cluster.internal, "carts", [Record(b"1", b"{")])
        wait_until(lambda: w.total("dead_letters_total") == 1, "the first letter", 30)
        wait_until(lambda: _committed(cluster) == 1, "its commit", 30)
        _withdraw(cluster, *_WRITE_LETTERS)
        produce(cluster.internal, "carts", [Record(b"2", b"{"), cart("good")])
        wait_until(lambda: w.metrics()["intake_paused{reason=dead_letter}"] == 1, "intake to pause", 30)
        wait_until(api.records, "the good one", 30)
        assert w.logged("dead letters can't be written")
        assert w.get("/healthz")[0] == w.get("/readyz")[0] == 200
        assert _committed(cluster) == 1
        _grant(cluster, *_WRITE_LETTERS)
        wait_until(lambda: _committed(cluster) == 3, "all to be committed", 60)
        assert w.metrics()["intake_paused{reason=dead_letter}"] == 0
        assert w.logged("dead letters are written again")
        assert w.stop() == 0
    assert [letter.key for letter in read_all(cluster.internal, "letters")] == [b"1", b"2"]


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "range"])
def test_a_static_member_whose_name_was_taken_ends_and_says_so(stage: Stages, assignor: str) -> None:
    """Two with one name would be one too many: the elder ends with 1, the younger has everything."""
    s: Stage = stage(partitions=2)
    named = s.settings(KAFKA_GROUP_INSTANCE_ID="one", KAFKA_ASSIGNOR=assignor, KAFKA_SESSION_TIMEOUT_MS="6000")
    with worker(**named) as elder:
        elder.wait_ready()
        s.produce([cart("1")])
        s.wait_all_committed()
        with worker(**named) as younger:
            assert elder.exit_code(60) == 1
            assert "another member of the group has taken this KAFKA_GROUP_INSTANCE_ID" in elder.log_text()
            assert "Traceback" not in elder.log_text()
            s.produce([cart(str(n)) for n in range(2, 12)])
            s.wait_all_committed()
            assert younger.metrics()["assigned_partitions"] == 2
            assert younger.stop() == 0
    assert len(s.held()) == 11


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "range"])
def test_a_static_member_that_is_back_in_time_goes_on(stage: Stages, assignor: str) -> None:
    """It has as many partitions as before its restart, and nothing is lost."""
    s = stage(partitions=4)
    common = {"KAFKA_ASSIGNOR": assignor, "KAFKA_SESSION_TIMEOUT_MS": "60000"}
    one, two = (s.settings(KAFKA_GROUP_INSTANCE_ID=name, **common) for name in ("one", "two"))
    with worker(**two) as other:
        other.wait_ready()
        for first in (0, 100):
            with worker(**one) as w:
                wait_until(
                    lambda w=w: w.metrics()["assigned_partitions"] == other.metrics()["assigned_partitions"] == 2,  # type: ignore[misc]
                    "two partitions each",
                    60,
                )
                s.produce([cart(str(number)) for number in range(first, first + 50)])
                s.wait_all_committed()
                assert w.stop() == 0
        assert other.stop() == 0
    assert len(s.held()) == 100


def _committed(cluster: KafkaCluster) -> int:
    return committed(cluster.internal, "optico-worker", "carts").get(0, 0)


def _grant(cluster: KafkaCluster, operation: ACLOperation, kind: ResourceType, name: str) -> None:
    rule = ACL(f"User:{USERNAME}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))
    with KafkaAdminClient(bootstrap_servers=cluster.internal) as admin:
        admin.create_acls([rule])


def _withdraw(cluster: KafkaCluster, operation: ACLOperation, kind: ResourceType, name: str) -> None:
    rule = ACLFilter(f"User:{USERNAME}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))
    with KafkaAdminClient(bootstrap_servers=cluster.internal) as admin:
        admin.delete_acls([rule])
