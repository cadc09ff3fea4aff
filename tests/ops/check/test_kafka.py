from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.structs import OffsetAndMetadata

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.security import PASSWORD, USERNAME
from tests.brokers.tools import ask, committed, end_offsets, group_state, produce
from tests.conftest import ClusterFactory, TopicFactory
from tests.integration.events import cart
from tests.integration.process import worker
from tests.ops.program import KEY, inside, optico
from worker.sandbox.api import Sandbox

CHECKS = ["configuration", "brokers", "topic", "topic rights", "group", "group rights", "lag"]
Variables = dict[str, str]


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with Sandbox(keys={KEY}) as sandbox:
        yield sandbox


@pytest.fixture
def variables(kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, group: str, api: Sandbox) -> Variables:
    group_state(kafka.bootstrap, group)  # a new cluster has no coordinator until it was asked for one
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_TOPICS": topic(3),
        "KAFKA_DLQ_TOPIC": topic(1),
        "KAFKA_GROUP_ID": group,
        "OPTICO_URL": api.url,
    }


def checked(variables: Mapping[str, str], *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by their check; of several ones of a check the last."""
    answer = inside("check", "--json", *arguments, variables=variables)
    return answer.code, {finding["check"]: finding for finding in answer.json["checks"]}


def commit(variables: Variables, offsets: dict[int, int]) -> None:
    wanted = {TopicPartition(variables["KAFKA_TOPICS"], p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()}
    bootstrap = variables["KAFKA_BOOTSTRAP_SERVERS"]
    ask(bootstrap, lambda admin: admin.alter_group_offsets(variables["KAFKA_GROUP_ID"], wanted))


def test_where_all_is_well_every_line_is_ok_and_nothing_is_changed(variables: Variables, api: Sandbox) -> None:
    bootstrap, topic, letters = (variables[f"KAFKA_{name}"] for name in ("BOOTSTRAP_SERVERS", "TOPICS", "DLQ_TOPIC"))

    answer = optico("check", "--json", "--key", variables=variables)
    document = answer.json

    assert (answer.code, document["ok"]) == (0, True)
    assert list(document) == ["ok", "configuration", "checks"]
    assert list(document["configuration"][0]) == ["name", "value", "origin"]
    assert {tuple(finding) for finding in document["checks"]} == {
        ("check", "subject", "verdict", "detail", "remedy", "facts")
    }
    assert [finding["verdict"] for finding in document["checks"]] == ["ok"] * 12
    assert [f["check"] for f in document["checks"]] == [*CHECKS, "dead letters", "topic rights", "api", "clock", "key"]
    assert (group_state(bootstrap, variables["KAFKA_GROUP_ID"]), api.records()) == ("Dead", [])
    assert set(end_offsets(bootstrap, topic).values()) | set(end_offsets(bootstrap, letters).values()) == {0}
    assert committed(bootstrap, variables["KAFKA_GROUP_ID"], topic) == {}


def test_topics_that_are_not_there_are_red(variables: Variables) -> None:
    code, found = checked(variables | {"KAFKA_TOPICS": "nowhere-carts", "KAFKA_DLQ_TOPIC": "nowhere-letters"})

    assert code == 1
    assert (found["topic"]["verdict"], found["topic"]["facts"]["exists"]) == ("red", False)
    assert (found["dead letters"]["verdict"], found["dead letters"]["facts"]["exists"]) == ("red", False)
    assert found["brokers"]["verdict"] == "ok"


def test_the_lag_is_what_the_group_has_not_settled(variables: Variables) -> None:
    bootstrap, topic = variables["KAFKA_BOOTSTRAP_SERVERS"], variables["KAFKA_TOPICS"]
    produce(bootstrap, topic, [cart(str(number)) for number in range(30)])
    ends = end_offsets(bootstrap, topic)

    before = checked(variables)[1]["lag"]["facts"]
    commit(variables, dict(list(ends.items())[:2]))
    after = checked(variables)[1]["lag"]["facts"]

    assert (before["lag"], after["lag"]) == (30, ends[2])
    assert after["committed"] == {f"{topic}-0": ends[0], f"{topic}-1": ends[1], f"{topic}-2": None}


def test_a_group_that_would_start_with_a_backfill_is_a_warning_with_both_ways_out(variables: Variables) -> None:
    """How many records wait, since when, and how long they take at the rate limit."""
    bootstrap, topic = variables["KAFKA_BOOTSTRAP_SERVERS"], variables["KAFKA_TOPICS"]
    day = 1_732_176_000_000  # 2024-11-21T08:00:00Z
    produce(bootstrap, topic, [replace(cart(str(n)), timestamp=day + 60_000 * n) for n in range(30)])

    code, found = checked(variables | {"OPTICO_MAX_REQUESTS_PER_SECOND": "0.5"})

    assert (code, found["lag"]["verdict"]) == (0, "warn")
    backfill = {"records": 30, "since": "2024-11-21T08:00:00+00:00", "seconds": 60}
    assert found["lag"]["facts"]["backfill"] == backfill
    assert "30 records since 2024-11-21T08:00:00+00:00, up to 0:01:00" in found["lag"]["detail"]
    assert "--to-latest --execute" in found["lag"]["remedy"]
    assert "KAFKA_AUTO_OFFSET_RESET=latest" in found["lag"]["remedy"]

    assert checked(variables | {"KAFKA_AUTO_OFFSET_RESET": "latest"})[1]["lag"]["verdict"] == "ok"
    assert inside("replay", "--to-latest", "--execute", variables=variables).code == 0
    assert checked(variables)[1]["lag"]["verdict"] == "ok"


def test_offsets_beyond_the_logs_end_are_red(variables: Variables) -> None:
    commit(variables, {0: 99})

    code, found = checked(variables)

    assert (code, found["lag"]["verdict"]) == (1, "red")


def test_deleted_and_never_read_records_are_a_warning(variables: Variables) -> None:
    bootstrap, topic = variables["KAFKA_BOOTSTRAP_SERVERS"], variables["KAFKA_TOPICS"]
    produce(bootstrap, topic, [cart("1"), cart("1", 2)])
    (partition,) = (number for number, end in end_offsets(bootstrap, topic).items() if end)
    commit(variables, {partition: 0})
    ask(bootstrap, lambda admin: admin.delete_records({TopicPartition(topic, partition): 2}))

    code, found = checked(variables)

    assert (code, found["lag"]["verdict"]) == (0, "warn")
    assert found["lag"]["facts"]["lag"] == 0


def test_the_members_of_a_running_group_are_listed_and_left_alone(variables: Variables) -> None:
    with worker(OPTICO_API_KEY=KEY, **variables) as process:
        process.wait_ready()
        code, found = checked(variables)
        rebalances = process.total("rebalances_total")

    group = found["group"]
    assert code == 0
    assert group["facts"]["state"] == "Stable"
    (member,) = group["facts"]["members"]
    assert len(member["partitions"]) == 3
    assert rebalances == 1


def test_what_this_user_may_not_do_is_red_before_it_is_tried(kafka_cluster: ClusterFactory, api: Sandbox) -> None:
    authorizer = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # the internal listener's
    }
    cluster = kafka_cluster(security="SASL_PLAINTEXT", properties=authorizer)
    for name in ("carts", "secret-carts", "letters"):
        cluster.create_topic(name)
    group_state(cluster.internal, "any")
    variables = cluster.security.variables() | {
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
        "KAFKA_TOPICS": "carts,secret-carts",
        "KAFKA_DLQ_TOPIC": "letters",
        "OPTICO_URL": api.url,
    }
    allow(cluster, ACLOperation.READ, ResourceType.TOPIC, "carts")
    allow(cluster, ACLOperation.DESCRIBE, ResourceType.TOPIC, "letters")
    allow(cluster, ACLOperation.DESCRIBE, ResourceType.GROUP, "optico-worker")

    answer = optico("check", variables=variables)
    verdicts = {(row["check"], row["of"]): (row["verdict"], row["to do"]) for row in checks(answer.out)}

    assert answer.code == 1
    assert PASSWORD not in answer.out + answer.err
    assert verdicts["topic rights", "carts"] == ("ok", "")
    assert verdicts["topic", "secret-carts"] == ("red", "grant READ and DESCRIBE on topic secret-carts")
    assert verdicts["topic rights", "letters"] == ("red", "grant this user WRITE on topic letters")
    assert verdicts["group rights", "optico-worker"] == ("red", "grant this user READ on group optico-worker")

    refused = optico("check", variables=variables | {"KAFKA_SASL_PASSWORD": "fake-wrong-password"})
    (brokers,) = (row for row in checks(refused.out) if row["check"] == "brokers")
    assert brokers["verdict"] == "red"
    assert "fake-wrong-password" not in refused.out + refused.err


def checks(out: str) -> list[dict[str, str]]:
    """The second of the two plain tables."""
    columns, *rows = (line.split("\t") for line in out[out.index("verdict\t") :].splitlines())
    return [dict(zip(columns, row, strict=True)) for row in rows]


def allow(cluster: KafkaCluster, operation: ACLOperation, kind: ResourceType, name: str) -> None:
    rule = ACL(f"User:{USERNAME}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))
    with KafkaAdminClient(bootstrap_servers=cluster.internal) as admin:
        admin.create_acls([rule])
