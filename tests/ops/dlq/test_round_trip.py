"""From a rejection to its delivery, beside the worker that runs: its letters, the commands, and newer states."""

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.brokers.tools import end_offsets, wait_until
from tests.conftest import TopicFactory
from tests.integration.conftest import Stage, stage
from tests.integration.events import VISIT, cart, version
from tests.integration.process import WorkerProcess, worker
from tests.ops.dlq.conftest import Post
from tests.ops.dlq.test_interruption import redriving

__all__ = ["stage"]


@pytest.fixture
def s(stage: Callable[[], Stage]) -> Stage:
    """The API knows nobody's visit."""
    s = stage()
    s.api.set_unknown_visits([VISIT])
    return s


@pytest.fixture
def post(s: Stage, topic: TopicFactory) -> Post:
    return Post(s.bootstrap, s.topic, topic(), s.group, s.api)


@pytest.fixture
def w(s: Stage, post: Post) -> Iterator[WorkerProcess]:
    settings = s.settings(KAFKA_DLQ_TOPIC=post.letters, WORKER_REJECTION_LIMIT="0")
    with worker(**settings, WORKER_COLLAPSE_WINDOW_MS="50") as process:
        yield process
        assert process.stop() == 0


def wait_for_letters(s: Stage, post: Post, number: int) -> None:
    wait_until(lambda: end_offsets(post.bootstrap, post.letters)[0] == number, f"{number} letters", 30)
    s.wait_all_committed()


def test_what_was_rejected_is_found_corrected_and_delivered_once(s: Stage, post: Post, w: WorkerProcess) -> None:
    s.produce([cart("1", 5), cart("2", 6), cart("3", 7), cart("4", products="none")])
    wait_for_letters(s, post, 4)
    end = post.ends()

    listed = post.dlq("list", "--json", "--reason", "unknown_visit_id").json_lines
    shown = post.dlq("show", "--json", listed[0]["letter"]).json
    assert {line["id"] for line in listed} == {"1", "2", "3"}
    assert shown["value"].encode() == cart(shown["id"], int(shown["id"]) + 4).value
    assert not s.held()

    s.api.set_unknown_visits([])
    sent = post.execute("--reason", "unknown_visit_id")

    assert sorted(sent.values()) == ["sent"] * 3
    assert post.held() == {"1": 5, "2": 6, "3": 7}
    assert post.ends() == end, "nothing is written to the topic"
    assert w.metrics()["dead_letters_total{reason=unknown_visit_id}"] == 3


def test_what_changed_since_its_letter_was_written_is_not_made_older(s: Stage, post: Post, w: WorkerProcess) -> None:
    s.produce([cart("1", 5), cart("2", 6)])
    wait_for_letters(s, post, 2)
    s.api.set_unknown_visits([])
    s.produce([cart("1", 9)])
    wait_until(s.held, "the newer state", 20)

    assert sorted(post.execute().values()) == ["sent", "superseded"]

    assert post.held() == {"1": 9, "2": 6}
    assert w.total("events_delivered_total") == 1


def test_a_cause_that_is_not_corrected_fails_and_makes_no_new_letter(s: Stage, post: Post, w: WorkerProcess) -> None:
    s.produce([cart("1")])
    wait_for_letters(s, post, 1)

    assert post.execute(code=1) == {"0": "failed"}
    assert post.execute(code=1) == {"0": "failed"}
    assert end_offsets(post.bootstrap, post.letters) == {0: 1}
    assert w.get("/readyz")[0] == 200


def test_beside_a_worker_that_changes_the_same_carts_none_ends_older_than_the_topic(
    s: Stage, post: Post, w: WorkerProcess
) -> None:
    """Requests are slow, some fail, some are given up and applied late, while newer states keep coming."""
    ids, numbers = [str(number) for number in range(40)], itertools.count(2)
    newest = dict.fromkeys(ids, 1)
    s.produce([cart(id_) for id_ in ids])
    wait_for_letters(s, post, len(ids))
    s.api.set_unknown_visits([])
    s.api.set_faults(
        [
            {"probability": 0.05, "seed": 3, "count": 4, "hang": True, "apply_after_ms": 3000},
            {"probability": 0.05, "seed": 5, "status": 500},
            {"latency": {"p50": 150, "p99": 900}},
        ]
    )
    over = threading.Event()

    def keep_coming() -> None:
        while not over.wait(0.05):
            for _ in range(3):
                number = next(numbers)
                newest[ids[number * 7 % 40]] = number
                s.produce([cart(ids[number * 7 % 40], number)])

    with redriving(post, "--max-requests-per-second", "0", OPTICO_TIMEOUT_SECONDS="2") as running:
        wait_until(lambda: s.api.state().in_flight > 0, "the redrive's requests", 30)
        producer = threading.Thread(target=keep_coming)
        producer.start()
        wait_until(lambda: max(newest.values()) > 150, "traffic beside it", 60)
        over.set()
        producer.join()
        assert running.ended() == 0
        outcomes = running.outcomes()
    s.wait_all_committed()
    wait_until(lambda: s.api.state().landing == 0, "requests that are applied late", 10)
    wait_until(lambda: w.total("pending_entities") == 0, "confirmations", 30)

    assert outcomes.total() == 40
    assert outcomes["superseded"] > 0, "without newer states meanwhile this proves nothing"
    assert {id_: version(params) for (_, id_), params in s.held().items()} == newest
