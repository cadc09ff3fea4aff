"""Resets on a real Kafka: by the command, and by Kafka's own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.brokers.tools import committed, end_offsets, group_state, start_offsets, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart, version
from tests.integration.process import worker
from tests.ops.replay.conftest import commit, join_as_connect, moves, replay
from tests.ops.replay.kafka_tools import consumer_groups
from worker.adapters.kafka.admin import CommittedOffset, open_admin
from worker.adapters.kafka.listener import DIRTY_MARKER
from worker.core.state import Partition
from worker.settings import load

Stages = Callable[..., Stage]

#: The first event's time; the others follow a minute apart.
FIRST = datetime(2024, 11, 21, 8, tzinfo=UTC)


@pytest.fixture
def s(stage: Stages) -> Stage:
    """Two partitions of ten events, a minute apart, which the group is at the end of."""
    s = stage(partitions=2)
    for partition in range(2):
        records = [cart(f"{partition}-{number % 5}", number + 1) for number in range(10)]
        s.produce(
            [
                replace(record, partition=partition, timestamp=int(FIRST.timestamp() * 1000) + 60_000 * number)
                for number, record in enumerate(records)
            ]
        )
    commit(s, {0: 10, 1: 10})
    return s


def work(s: Stage) -> None:
    """A worker's life, until it has read and committed everything."""
    with worker(**s.settings(), WORKER_COLLAPSE_WINDOW_MS="10") as w:
        s.wait_all_committed()
        assert w.stop() == 0


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        (["--to-earliest"], {0: 0, 1: 0}),
        (["--to-latest"], {0: 10, 1: 10}),
        (["--to-datetime", "2024-11-21T08:04:00Z"], {0: 4, 1: 4}),
        (["--to-datetime", "2024-11-21T09:03:30+01:00", "--partition", "1"], {1: 4}),
        (["--to-datetime", "2036-01-01T00:00:00Z"], {0: 10, 1: 10}),
        (["--shift-by", "-3"], {0: 7, 1: 7}),
        (["--shift-by", "-11", "--partition", "0"], {0: 0}),
        (["--shift-by", "5"], {0: 10, 1: 10}),
        (["--by-duration", "PT0S"], {0: 10, 1: 10}),
        (["--by-duration", "P20000D"], {0: 0, 1: 0}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_where_a_reset_goes(s: Stage, options: list[str], targets: dict[int, int]) -> None:
    """The dry run says it and changes nothing; with --execute the group is there."""
    shown = moves(s, *options)
    assert {number: move["target"] for number, move in shown.items()} == targets
    assert {number: move["replays"] for number, move in shown.items()} == {n: 10 - at for n, at in targets.items()}
    assert all(move["current"] == 10 for move in shown.values())
    assert s.committed() == {0: 10, 1: 10}
    assert moves(s, *options, "--execute") == shown
    assert s.committed() == {0: 10, 1: 10} | targets


def test_offsets_are_given_for_each_partition_and_clamped_to_the_log(s: Stage) -> None:
    options = ["--to-offset", f"{s.topic}:0:3", "--to-offset", f"{s.topic}:1:99"]
    shown = moves(s, *options, "--execute")
    assert {number: move["target"] for number, move in shown.items()} == {0: 3, 1: 10}
    assert shown[0]["remark"] == ""
    assert "99 lies after the end: clamped" in shown[1]["remark"]
    assert s.committed() == {0: 3, 1: 10}
    assert "has no partition" not in replay(s, "--to-earliest", "--partition", "1").stderr


def test_a_reset_says_for_people_what_it_would_do(s: Stage) -> None:
    ended = replay(s, "--shift-by", "-4")
    assert ended.exit_code == 0
    header, first, second = [line.split("\t") for line in ended.stdout.splitlines()]
    assert header[:6] == ["topic", "partition", "group is at", "would go to", "read again", "skipped"]
    assert first[:6] == [s.topic, "0", "10", "6", "4", "0"]
    assert second[:6] == [s.topic, "1", "10", "6", "4", "0"]
    assert "nothing was changed" in ended.stderr
    assert "8 events read again" in ended.stderr


def test_what_the_log_no_longer_holds_is_said_and_skipped(s: Stage) -> None:
    """Retention has deleted the oldest events: the begin is not 0 any more."""
    from kafka import KafkaAdminClient, TopicPartition  # noqa: PLC0415

    admin = KafkaAdminClient(bootstrap_servers=s.bootstrap)
    admin.delete_records({TopicPartition(s.topic, 0): 6})
    admin.close()
    assert start_offsets(s.bootstrap, s.topic)[0] == 6
    shown = moves(s, "--to-offset", f"{s.topic}:0:2", "--execute")
    assert shown[0]["target"] == 6
    assert shown[0]["replays"] == 4
    assert "2 lies before the begin: clamped" in shown[0]["remark"]
    assert s.committed()[0] == 6


def test_a_group_with_live_members_is_refused_with_the_way_to_stop_them(s: Stage) -> None:
    with worker(**s.settings()) as w:
        w.wait_ready()
        ended = replay(s, "--to-earliest", "--execute")
        assert ended.exit_code == 1
        assert ended.stdout == ""
        assert "has 1 live member (optico-worker on 127.0.0.1)" in ended.stderr
        assert "SIGTERM" in ended.stderr
        shown = replay(s, "--to-earliest")
        assert shown.exit_code == 0
        assert "--execute would be refused now" in shown.stderr
        assert s.committed() == {0: 10, 1: 10}
        assert w.stop() == 0
    assert replay(s, "--to-earliest", "--execute").exit_code == 0


def test_a_group_that_has_never_committed_starts_where_it_is_put(stage: Stages) -> None:
    s = stage()
    s.produce([cart(str(number)) for number in range(5)])
    assert group_state(s.bootstrap, s.group) == "Dead"
    assert moves(s, "--shift-by", "-1")[0]["target"] is None
    shown = moves(s, "--to-offset", f"{s.topic}:0:3", "--execute")[0]
    assert (shown["current"], shown["target"], shown["replays"], shown["skips"]) == (None, 3, 0, 3)
    assert "has committed nothing" in shown["remark"]
    work(s)
    assert set(s.held()) == {("cart", "3"), ("cart", "4")}


def test_a_reset_backlog_is_sent_once_an_id_in_its_newest_state(stage: Stages) -> None:
    """20,000 events over 500 ids, read again after a reset: at most 1.1 requests an id, and no state but the newest."""
    s = stage(partitions=3)
    s.produce([cart(str(number % 500), number) for number in range(1, 20_001)])
    commit(s, end_offsets(s.bootstrap, s.topic))
    assert replay(s, "--to-earliest", "--execute").exit_code == 0
    work(s)
    newest = {("cart", str(number % 500)): number for number in range(19_501, 20_001)}
    assert {key: version(params) for key, params in s.held().items()} == newest
    requests = s.api.requests()
    assert 500 <= len(requests) <= 550
    assert {version(request.params) for request in requests} <= set(newest.values())


def test_kafkas_own_tool_resets_as_well(s: Stage) -> None:
    """`kafka-consumer-groups --reset-offsets`, then the worker: it goes on from there."""
    said = consumer_groups(
        *("--bootstrap-server", s.bootstrap, "--group", s.group, "--topic", f"{s.topic}:0"),
        *("--reset-offsets", "--to-datetime", "2024-11-21T08:07:00.000Z", "--execute"),
    )
    assert s.topic in said
    assert committed(s.bootstrap, s.group, s.topic) == {0: 7, 1: 10}
    shown = moves(s, "--to-earliest")
    assert (shown[0]["current"], shown[0]["replays"]) == (7, 7)
    work(s)
    assert {key: version(params) for key, params in s.held().items()} == {
        ("cart", "0-2"): 8,
        ("cart", "0-3"): 9,
        ("cart", "0-4"): 10,
    }


def test_kafkas_own_tool_sees_what_a_reset_has_set(s: Stage) -> None:
    assert replay(s, "--shift-by", "-4", "--execute").exit_code == 0
    said = consumer_groups("--bootstrap-server", s.bootstrap, "--group", s.group, "--describe")
    rows = [line.split()[1:6] for line in said.splitlines() if s.topic in line]
    assert sorted(rows) == [[s.topic, "0", "6", "10", "4"], [s.topic, "1", "6", "10", "4"]]
    wait_until(lambda: group_state(s.bootstrap, s.group) == "Empty", "no member")


def test_a_reset_keeps_the_note_that_requests_may_still_take_effect(s: Stage) -> None:
    """Whoever reads on from there must confirm what it delivers at first, as after any other end."""
    settings = load(s.settings() | {"OPTICO_API_KEY": "fake"}).kafka
    first, second = Partition(s.topic, 0), Partition(s.topic, 1)
    with open_admin(settings) as admin:
        admin.commit(s.group, {first: CommittedOffset(10, DIRTY_MARKER), second: 10})
        moves(s, "--to-earliest", "--execute")
        assert admin.committed_with_metadata(s.group) == {
            first: CommittedOffset(0, DIRTY_MARKER),
            second: CommittedOffset(0, ""),
        }


def test_a_group_that_is_no_consumers_is_left_alone(s: Stage) -> None:
    """Such as that of Kafka Connect, whose members say what no consumer would."""
    join_as_connect(s, group := f"{s.group}-connect")
    ended = replay(s, "--to-earliest", KAFKA_GROUP_ID=group)
    assert ended.exit_code == 1
    assert f"group {group} is of the type connect" in ended.stderr
    assert "KAFKA_GROUP_ID" in ended.stderr


def test_a_variable_that_is_misspelt_is_told_of(s: Stage) -> None:
    """It would be another group whose offsets are set."""
    ended = replay(s, "--to-earliest", KAFKA_GROUPID="shop-prod")
    assert ended.exit_code == 0
    assert "KAFKA_GROUPID: unknown" in ended.stderr
    assert "KAFKA_GROUP_ID" in ended.stderr
