"""Entities in two partitions are warned about once for each topic, with the way out."""

from structlog.testing import capture_logs

from worker.engine.notices import Notices


def test_entities_in_two_partitions_are_warned_about_once_a_topic_with_the_remedy() -> None:
    notices = Notices()
    with capture_logs() as lines:
        for topics in (["carts"], ["carts"], ["carts", "orders"]):
            notices.in_two_partitions(topics)
    assert [line["topic"] for line in lines] == ["carts", "orders"]
    assert all("key" in line["remedy"] for line in lines)
    assert {line["log_level"] for line in lines} == {"warning"}
