"""What `check` says of the newest records: their keys, and what of them can't be sent."""

from collections.abc import Mapping
from typing import Any

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Record, produce
from tests.conftest import TopicFactory
from tests.formats.events import cart, value
from tests.ops.program import inside
from worker.sandbox.api import Sandbox


def checked(variables: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    answer = inside("check", "--json", variables=variables)
    assert answer.code == 0
    return {(finding["check"], finding["subject"]): finding for finding in answer.json["checks"]}


def test_records_without_their_entity_as_the_key_are_said(
    kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, group: str
) -> None:
    """Each topic has its own prefix of ids, which its keys do not have."""
    good, bad = topic(2), topic(1)
    whole = value(cart())
    produce(kafka.bootstrap, good, [Record(b"cart:42", whole)] * 3)
    wrong = [Record(None, whole), Record(b"42", whole), Record(b"cart:42", whole), Record(b"cart:42", b"{")]
    produce(kafka.bootstrap, bad, wrong)
    with Sandbox() as api:
        found = checked(
            {
                "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
                "KAFKA_TOPICS": f"{good},{bad}",
                "KAFKA_GROUP_ID": group,
                "WORKER_ID_PREFIXES": f"{good}=fr-",
                "OPTICO_URL": api.url,
            }
        )
    assert (found["keys", good]["verdict"], found["events", good]["verdict"]) == ("ok", "ok")
    assert (found["keys", bad]["verdict"], found["events", bad]["verdict"]) == ("warn", "warn")
    assert found["keys", bad]["facts"] == {"records": 3, "without_key": 1, "mismatches": 2}
    assert "cart:<id>" in found["keys", bad]["remedy"]
    assert found["events", bad]["facts"]["invalid"] == 1
