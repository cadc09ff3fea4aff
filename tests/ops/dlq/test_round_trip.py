"""From a rejection to its delivery: the worker, its letters, the commands, and the cause that is mended."""

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.brokers.tools import end_offsets, wait_until
from tests.conftest import TopicFactory
from tests.integration.conftest import Stage, api, stage
from tests.integration.events import VISIT, cart, version
from tests.integration.process import WorkerProcess, worker
from tests.ops.dlq.conftest import Post
from tests.ops.program import command, environment

__all__ = ["api", "stage"]

MANY = 300


@pytest.fixture
def s(stage: Callable[[], Stage]) -> Stage:
    """The API knows nobody's visit."""
    s = stage()
    s.api.set_unknown_visits([VISIT])
    return s


@pytest.fixture
def post(s: Stage, topic: TopicFactory) -> Post:
    return Post(s.bootstrap, s.topic, topic(), s.group)


@pytest.fixture
def w(s: Stage, post: Post) -> Iterator[WorkerProcess]:
    with worker(**s.settings(KAFKA_DLQ_TOPIC=post.letters, WORKER_REJECTION_LIMIT="0")) as process:
        yield process
        assert process.stop() == 0


def wait_for_letters(s: Stage, post: Post, number: int) -> None:
    wait_until(lambda: end_offsets(post.bootstrap, post.letters)[0] == number, f"{number} letters", 30)
    s.wait_all_committed()


def delivered(s: Stage) -> Counter[str]:
    return Counter(str(request.id) for request in s.api.requests() if request.outcome == "success")


def test_what_was_rejected_is_found_mended_sent_back_and_delivered_once(s: Stage, post: Post, w: WorkerProcess) -> None:
    s.produce([cart("1", 5), cart("2", 6), cart("3", 7), cart("4", products="none")])
    wait_for_letters(s, post, 4)

    listed = post.dlq("list", "--json", "--reason", "unknown_visit_id").json_lines
    shown = post.dlq("show", "--json", listed[0]["letter"]).json
    assert {line["id"] for line in listed} == {"1", "2", "3"}
    assert shown["value"].encode() == cart(shown["id"], int(shown["id"]) + 4).value
    assert not s.held()

    s.api.set_unknown_visits([])
    sent_back = post.redrive("--reason", "unknown_visit_id", "--execute")
    assert [outcome for _, outcome in sent_back] == ["redriven"] * 3
    wait_until(lambda: len(s.held()) == 3, "the letters to be delivered", 20)
    s.wait_all_committed()
    assert {id_: version(params) for (_, id_), params in s.held().items()} == {"1": 5, "2": 6, "3": 7}

    end, requests = post.end(), len(s.api.requests())
    assert post.redrive("--reason", "unknown_visit_id", "--execute") == []
    assert (post.end(), len(s.api.requests())) == (end, requests)
    assert delivered(s) == {"1": 1, "2": 1, "3": 1}
    assert w.metrics()["dead_letters_total{reason=unknown_visit_id}"] == 3


def test_what_changed_while_its_letter_lay_there_is_not_made_older(s: Stage, post: Post, w: WorkerProcess) -> None:
    s.produce([cart("1", 5), cart("2", 6)])
    wait_for_letters(s, post, 2)
    s.api.set_unknown_visits([])
    s.produce([cart("1", 9)])
    wait_until(s.held, "the newer state", 20)

    outcomes = Counter(outcome for _, outcome in post.redrive("--execute"))

    assert outcomes == {"superseded": 1, "redriven": 1}
    wait_until(lambda: len(s.held()) == 2, "the other letter", 20)
    assert {id_: version(params) for (_, id_), params in s.held().items()} == {"1": 9, "2": 6}
    assert w.total("events_delivered_total") == 2


def test_a_cause_that_is_not_mended_makes_new_letters_until_it_is_refused(
    s: Stage, post: Post, w: WorkerProcess
) -> None:
    s.produce([cart("1")])
    for redrives in range(3):
        wait_for_letters(s, post, redrives + 1)
        assert post.redrive("--execute") == [(str(redrives), "redriven")]
    wait_for_letters(s, post, 4)

    assert post.redrive("--execute") == [("3", "refused")]
    assert [line["redrives"] for line in post.dlq("list", "--json").json_lines] == [0, 1, 2, 3]
    assert w.metrics()["dead_letters_total{reason=unknown_visit_id}"] == 4


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_redrive_that_is_stopped_and_run_again_delivers_every_letter_once(
    s: Stage, post: Post, w: WorkerProcess, how: signal.Signals
) -> None:
    s.produce([cart(str(number)) for number in range(MANY)])
    wait_for_letters(s, post, MANY)
    s.api.set_unknown_visits([])

    with subprocess.Popen(
        command("dlq", "redrive", "--execute"),
        env=environment(post.variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: post.end() > MANY, "the first letter to be back", 40)
        process.send_signal(how)
        process.wait(30)
    assert MANY < post.end() < 2 * MANY, "it was to be stopped half-way"
    again = Counter(outcome for _, outcome in post.redrive("--execute"))

    wait_until(lambda: len(s.held()) == MANY, "all of them", 60)
    s.wait_all_committed()
    assert set(again) <= {"redriven", "superseded"}
    assert delivered(s) == {str(number): 1 for number in range(MANY)}
    assert post.end() == 2 * MANY
    assert w.get("/readyz")[0] == 200
