"""Kafka as the worker would find it. Asks, and changes nothing: no group is joined, nothing is written."""

from collections.abc import Iterator

from worker.adapters.kafka.admin import Admin, Cluster, Topic, UnreadableError, open_admin
from worker.ops.check import group
from worker.ops.check.finding import Finding, count, ok, red
from worker.ops.check.rights import rights
from worker.ports import FatalError, UnavailableError
from worker.settings import Kafka

#: One question's patience (s).
ANSWER_WITHIN = 5.0
_TOPIC_NEEDS = frozenset({"READ", "DESCRIBE"})
_LETTERS_NEED = frozenset({"WRITE", "DESCRIBE"})


def check(settings: Kafka, requests_per_second: float) -> Iterator[Finding]:
    """Finding by finding, as the answers come. May block for ANSWER_WITHIN seconds a question."""
    servers = ",".join(settings.bootstrap_servers)
    try:
        admin = open_admin(settings, timeout=ANSWER_WITHIN)
    except UnavailableError as error:
        yield red("brokers", servers, str(error), _reach(settings))
        return
    except FatalError as error:
        yield red("brokers", servers, str(error), "compare KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_* and KAFKA_SSL_*")
        return
    with admin:
        yield from _guarded("brokers", servers, _brokers(admin, servers))
        yield from _guarded("topics", ",".join(settings.topics), _topics(admin, settings))
        yield from _guarded("group", settings.group_id, group.check(admin, settings, requests_per_second))
        yield from _guarded("dead letters", settings.dlq_topic or "", _dead_letters(admin, settings.dlq_topic))


def _guarded(check: str, subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except UnavailableError as error:
        yield red(check, subject, str(error), "the brokers answered before: look at their health and at the network")
    except UnreadableError as error:
        yield red(
            check, subject, str(error), "these brokers are not quite Kafka: report this with their name and version"
        )
    except FatalError as error:
        yield red(check, subject, str(error), f"grant this user READ on {check} {subject}")


def _reach(settings: Kafka) -> str:
    words = "compare KAFKA_BOOTSTRAP_SERVERS with the brokers' addresses; is a firewall or a DNS name in between"
    return words if settings.security_protocol == "PLAINTEXT" else f"{words}, or KAFKA_SECURITY_PROTOCOL not theirs"


def _brokers(admin: Admin, servers: str) -> Iterator[Finding]:
    cluster = admin.cluster()
    addresses = [f"{broker.host}:{broker.port}" for broker in cluster.brokers]
    yield ok(
        "brokers",
        servers,
        f"{count(len(addresses), 'broker')} ({', '.join(addresses)}), protocol of Kafka {cluster.version}",
        **_cluster_facts(cluster),
    )


def _cluster_facts(cluster: Cluster) -> dict[str, object]:
    brokers = [{"id": broker.id, "host": broker.host, "port": broker.port} for broker in cluster.brokers]
    return {"cluster_id": cluster.id, "version": cluster.version, "brokers": brokers}


def _topics(admin: Admin, settings: Kafka) -> Iterator[Finding]:
    found = admin.topics(settings.topics)
    for name in settings.topics:
        yield _topic(found[name])
        if found[name].problem is None:
            yield rights("topic", name, found[name].operations, _TOPIC_NEEDS)


def _topic(topic: Topic) -> Finding:
    facts = {"exists": topic.exists, "partitions": len(topic.partitions), "leaderless": len(topic.leaderless)}
    if not topic.exists:
        return red("topic", topic.name, "does not exist", "create it, or correct KAFKA_TOPICS", **facts)
    if topic.problem is not None:
        return red("topic", topic.name, topic.problem, f"grant READ and DESCRIBE on topic {topic.name}", **facts)
    if topic.leaderless:
        detail = f"{len(topic.leaderless)} of {count(len(topic.partitions), 'partition')} without a leader"
        return red("topic", topic.name, detail, "their brokers are down: bring them back", **facts)
    return ok("topic", topic.name, count(len(topic.partitions), "partition"), **facts)


def _dead_letters(admin: Admin, name: str | None) -> Iterator[Finding]:
    if name is None:
        yield ok("dead letters", "", "no topic (KAFKA_DLQ_TOPIC): rejected events are logged and counted only")
        return
    topic = admin.topics([name])[name]
    facts = {"exists": topic.exists, "partitions": len(topic.partitions)}
    if not topic.exists:
        remedy = "create it: the first rejected event would stop the reading until it is there"
        yield red("dead letters", name, "does not exist", remedy, **facts)
    elif topic.problem is not None:
        yield red("dead letters", name, topic.problem, f"grant WRITE and DESCRIBE on topic {name}", **facts)
    else:
        yield ok("dead letters", name, count(len(topic.partitions), "partition"), **facts)
        yield rights("topic", name, topic.operations, _LETTERS_NEED)
