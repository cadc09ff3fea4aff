"""Replays beside the worker, on a real Kafka and the sandbox."""

import itertools
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.brokers.tools import Record, group_state, produce, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart, order, version
from tests.integration.process import KEY, worker
from tests.ops.replay.conftest import Replay, replay, summary

Stages = Callable[..., Stage]

START = datetime(2024, 11, 21, 8, tzinfo=UTC)


def versions(s: Stage) -> dict[str, int]:
    return {id_: version(params) for (_, id_), params in s.held().items()}


def test_each_entity_of_the_range_is_sent_once_in_its_newest_state(stage: Stages) -> None:
    """Also where that state stands behind the range; what occurs only elsewhere is not sent; no group is touched."""
    s = stage(partitions=2)
    at = int(START.timestamp() * 1000)
    # Versions 1 to 8 of a minute each: the range holds the minutes 2 to 4.
    ids = ["before", "both", "both", "inside", "behind", "behind", "both", "after"]
    s.produce([replace(cart(id_, minute), timestamp=at + 60_000 * minute) for minute, id_ in enumerate(ids, 1)])
    found = summary(s, "--from", "2024-11-21T08:02:00Z", "--to", "2024-11-21T09:06:00+01:00")
    assert versions(s) == {"both": 7, "inside": 4, "behind": 6}
    assert (found["events"], found["entities"], found["requests"], found["delivered"]) == (4, 3, 3, 3)
    assert found["complete"]
    assert not found["rejected"]
    assert group_state(s.bootstrap, s.group) == "Dead"
    assert s.committed() == {}


def test_only_the_entities_that_are_named_are_sent(stage: Stages) -> None:
    s = stage(partitions=2)
    s.produce([cart(str(number), number) for number in range(1, 10)] + [order("3", 33)])
    found = summary(s, "--from", "earliest", "--id", "cart:3", "--id", "order:3", "--id", "cart:99")
    assert {key: version(params) for key, params in s.held().items()} == {("cart", "3"): 3, ("order", "3"): 33}
    assert found["entities"] == found["requests"] == 2


def test_offsets_name_the_partitions_of_the_range(stage: Stages) -> None:
    s = stage(partitions=2)
    s.produce([replace(cart(f"{partition}-{n}"), partition=partition) for partition in range(2) for n in range(5)])
    found = summary(s, "--from", f"{s.topic}:1:1", "--to", f"{s.topic}:1:3")
    assert set(versions(s)) == {"1-1", "1-2"}
    assert found["range"] == [{"topic": s.topic, "partition": 1, "from": 1, "to": 3, "remark": ""}]
    clamped = summary(s, "--from", f"{s.topic}:1:4", "--to", f"{s.topic}:1:99")
    assert (clamped["range"][0]["from"], clamped["range"][0]["to"]) == (4, 5)
    assert "99" in clamped["range"][0]["remark"]


def test_an_empty_range_sends_nothing(stage: Stages) -> None:
    s = stage()
    s.produce([cart("1")])
    ended = replay(s, "--alongside", "--from", "2036-01-01T00:00:00Z")
    assert ended.exit_code == 0
    assert "nothing in the range is to be sent" in ended.stderr
    assert not s.api.requests()


def test_what_can_not_be_delivered_is_listed_with_its_coordinates(stage: Stages) -> None:
    """Exit code 1; an invalid record that a valid one of its cart follows is not worth a word."""
    s = stage()
    s.api.set_faults([{"id": "2", "envelope": "Unknown visit_id"}])
    broken = cart("4", products="secret")
    s.produce([cart("1"), cart("2"), broken, Record(b"x", b"{oops"), Record(b"cart:1", None), broken, cart("4", 2)])
    s.produce([cart("1", 7), cart("5", is_logged_in="perhaps")])
    ended = replay(s, "--alongside", "--from", "earliest")
    assert ended.exit_code == 1
    lines = [line.split("\t") for line in ended.stdout.splitlines()[1:]]
    assert lines[0] == ["topic", "partition", "offset", "entity", "reason", "message"]
    assert [line[2:5] for line in lines[1:]] == [
        ["1", "cart", "unknown_visit_id"],
        ["3", "unknown", "malformed_json"],
        ["8", "cart", "invalid_event"],
    ]
    assert "3 entities in 9 events: 3 requests" in ended.stdout
    assert "2 delivered, 3 events rejected" in ended.stdout
    assert "secret" not in ended.output
    assert versions(s) == {"1": 7, "4": 2}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_key_is_not_said_where_the_api_repeats_it(stage: Stages, options: list[str]) -> None:
    s = stage()
    s.api.set_faults([{"id": "1", "envelope": f"No domain for key {KEY}"}])
    s.produce([cart("1")])
    ended = replay(s, "--alongside", "--from", "earliest", *options)
    assert "No domain for key ***" in ended.stdout
    assert KEY not in ended.output


def test_the_rate_is_its_own_and_kept(stage: Stages) -> None:
    s = stage()
    s.produce([cart(str(number)) for number in range(50)])
    found = summary(s, "--from", "earliest", "--max-requests-per-second", "20")
    assert found["requests"] == 50
    assert found["seconds"] > 2.2
    times = [request.arrived_at for request in s.api.requests()]
    assert times[-1] - times[0] > 49 / 20 * 0.9


def test_an_outage_and_a_refused_key_are_waited_for(stage: Stages, tmp_path: Path) -> None:
    """It says so, does not hammer, and goes on when the API answers again, with the key that is in the file then."""
    s = stage()
    s.produce([cart(str(number)) for number in range(30)])
    key = tmp_path / "key"
    key.write_text("sk_fake_old\n")
    s.api.set_faults([{"status": 503}])
    settings = {"OPTICO_API_KEY": "", "OPTICO_API_KEY_FILE": str(key)}
    with Replay(s, "--from", "earliest", **settings) as running:
        running.wait_said("requests keep failing")
        assert s.api.state().requests <= 40
        s.api.clear_faults()
        running.wait_said("the API refuses the key")
        assert not s.held()
        s.api.set_keys(["sk_fake_new"])
        key.write_text("sk_fake_new\n")
        found = running.summary()
        assert "sending goes on" in running.said()
        assert "sk_fake" not in running.said()
    assert found["delivered"] == 30
    assert len(s.held()) == 30


def test_a_request_that_lands_late_does_not_win(stage: Stages) -> None:
    """Ours is given up and lands seconds later, on top of what the worker has sent meanwhile: it is put right."""
    s = stage()
    s.produce([cart("1", 1), cart("2", 1)])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        s.api.reset()
        s.api.set_faults([{"id": "1", "count": 1, "hang": True, "apply_after_ms": 6000}])
        with Replay(s, "--from", "earliest", OPTICO_TIMEOUT_SECONDS="1") as running:
            wait_until(lambda: s.api.state().in_flight == 1, "the request that hangs", 20)
            wait_until(lambda: versions(s).get("1") == 1, "its repetition", 20)
            s.produce([cart("1", 2)])
            wait_until(lambda: versions(s)["1"] == 2, "the newer state", 20)
            wait_until(lambda: s.api.state().applied_late == 1, "the late landing", 20)
            found = running.summary()
        assert w.stop() == 0
    assert versions(s) == {"1": 2, "2": 1}
    assert found["superseded"] == 1
    assert found["complete"]


def test_beside_the_worker_under_traffic_no_id_ends_older_than_the_topic(stage: Stages) -> None:
    """Worker and replay send states of the same carts at once, slow and out of order, and newer ones keep coming."""
    s = stage(partitions=3)
    ids = [str(number) for number in range(60)]
    numbers = itertools.count(1)
    newest: dict[str, int] = {}

    def traffic(events: int) -> None:
        records = []
        for _ in range(events):
            number = next(numbers)
            newest[ids[number * 7 % 60]] = number
            records.append(cart(ids[number * 7 % 60], number))
        produce(s.bootstrap, s.topic, records)

    traffic(600)
    over = threading.Event()

    def keep_coming() -> None:
        while not over.wait(0.05):
            traffic(6)

    with worker(**s.settings(), WORKER_COLLAPSE_WINDOW_MS="50") as w:
        s.wait_all_committed()
        s.api.set_faults(
            [
                {"probability": 0.05, "seed": 3, "count": 4, "hang": True, "apply_after_ms": 3000},
                {"probability": 0.05, "seed": 5, "status": 500},
                {"latency": {"p50": 150, "p99": 900}},
            ]
        )
        before = Counter(request.id for request in s.api.requests())
        with Replay(s, "--from", "earliest", OPTICO_TIMEOUT_SECONDS="2") as running:
            producer = threading.Thread(target=keep_coming)
            producer.start()
            wait_until(lambda: not running.running() or max(newest.values()) > 1000, "traffic beside it", 60)
            over.set()
            producer.join()
            found = running.summary(timeout=60)
        s.wait_all_committed()
        wait_until(lambda: s.api.state().landing == 0, "late landings", 10)
        wait_until(lambda: w.total("pending_entities") == 0, "confirmations", 30)
        assert w.stop() == 0
    assert found["complete"]
    assert found["entities"] == 60
    assert found["superseded"] > 0, "without newer events meanwhile this proves nothing"
    assert sum(before.values()) < len(s.api.requests())
    assert versions(s) == newest


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_checks_what_was_sent_and_says_where_to_go_on(stage: Stages, how: signal.Signals) -> None:
    """Nothing new is sent; repeated from where it stood, it sends the rest."""
    s = stage()
    s.produce([cart(str(number)) for number in range(400)])
    rate = ("--max-requests-per-second", "40")
    with Replay(s, "--from", "earliest", *rate, OPTICO_MAX_CONCURRENCY="4") as running:
        wait_until(lambda: s.api.state().requests >= 60, "some requests", 30)
        running.signal(how)
        found = running.summary(code=1)
        said = running.said()
    assert "nothing new is sent" in said
    assert 60 <= found["delivered"] < 200
    assert found["unchecked"] == 0
    assert found["unsent"] == 400 - found["delivered"]
    (place,) = found["go_on_at"]
    assert f"--from {s.topic}:0:{place['offset']} --to {s.topic}:0:400" in said
    rest = summary(s, "--from", f"{s.topic}:0:{place['offset']}", "--max-requests-per-second", "0")
    assert rest["delivered"] == found["unsent"]
    assert len(s.held()) == 400
    assert len(s.api.requests()) == 400


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_stopped_beside_the_worker_and_repeated_no_id_ends_older_than_the_topic(
    stage: Stages, how: signal.Signals
) -> None:
    """The same command once more, while newer events come: all is as the topic says."""
    s = stage(partitions=2)
    s.produce([cart(str(number), 1) for number in range(200)])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        s.api.reset()
        with Replay(s, "--from", "earliest", "--max-requests-per-second", "60", OPTICO_MAX_CONCURRENCY="4") as running:
            wait_until(lambda: s.api.state().requests >= 40, "some requests", 30)
            s.produce([cart(str(number), 2) for number in range(0, 200, 3)])
            running.signal(how)
            assert running.ended(30) == (-how if how is signal.SIGKILL else 1)
        again = summary(s, "--from", "earliest", "--max-requests-per-second", "0")
        s.wait_all_committed()
        assert w.stop() == 0
    assert again["complete"]
    assert again["entities"] == 200
    assert versions(s) == {str(number): 1 if number % 3 else 2 for number in range(200)}


def test_a_second_ctrl_c_ends_it_at_once(stage: Stages) -> None:
    """It says what was sent and could not be checked."""
    s = stage()
    s.produce([cart(str(number)) for number in range(3)])
    s.api.set_faults([{"hang": True}])
    with Replay(s, "--from", "earliest", OPTICO_TIMEOUT_SECONDS="20") as running:
        wait_until(lambda: s.api.state().in_flight == 3, "requests that hang", 20)
        running.interrupt()
        running.wait_said("once more")
        assert running.running()
        running.interrupt()
        found = running.summary(code=1, timeout=10)
        assert "3 entities were sent" in running.said()
    assert found["unchecked"] == 3
