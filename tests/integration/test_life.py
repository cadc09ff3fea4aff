"""How the worker starts, stops, and fails."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.brokers.tools import Record, group_members, produce, read_all, wait_until
from tests.conftest import ClusterFactory, TopicFactory
from tests.integration.conftest import Stage
from tests.integration.events import cart, version
from tests.integration.process import KEY, worker
from worker.adapters.kafka.consumer import MAX_POLL_RECORDS
from worker.sandbox.api import Sandbox

Stages = Callable[..., Stage]


def test_wrong_settings_are_named_all_at_once() -> None:
    """Exit code 2, every problem on a line of its own, no traceback, and no secret."""
    environment = {
        "PATH": "",
        "OPTICO_API_KEY": "sk_fake\nsecret",
        "OPTICO_URL": "optico.fr",
        "OPTICO_MAX_CONCURRENCY": "many",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "run"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    for name in (
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_TOPICS",
        "OPTICO_API_KEY",
        "OPTICO_URL",
        "OPTICO_MAX_CONCURRENCY",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_PASSWORD",
    ):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr.replace("KAFKA_SASL", "").replace("secrets", "")


def test_a_drain_sends_what_waits_and_leaves_the_group(stage: Stages) -> None:
    """SIGTERM under load: windows are waived, what can be sent is sent and committed, the member is gone."""
    s = stage(partitions=2)
    s.api.set_faults([{"latency": 100}])
    with worker(**s.settings(WORKER_COLLAPSE_WINDOW_MS="60000")) as w:
        w.wait_ready()
        s.produce([cart(str(i)) for i in range(200)])
        wait_until(lambda: w.metrics()["pending_entities"] == 200, "all to wait for their window")
        assert w.stop(timeout=20) == 0
        drained = w.logged("drained")[0]
    assert drained["left_uncommitted"] == 0
    assert len(s.held()) == 200
    assert s.all_committed()
    assert not group_members(s.bootstrap, s.group)


def test_a_drain_ends_in_time_and_says_what_is_left(stage: Stages) -> None:
    """An API that hangs can't hold the process: what is left stays uncommitted for the next one."""
    s = stage()
    s.api.set_faults([{"hang": True}])
    with worker(
        **s.settings(OPTICO_TIMEOUT_SECONDS="2", WORKER_DRAIN_TIMEOUT_SECONDS="4", OPTICO_MAX_CONCURRENCY="2")
    ) as w:
        s.produce([cart(str(i)) for i in range(10)])
        wait_until(lambda: s.api.state().in_flight == 2, "requests that hang", 20)
        assert w.stop(timeout=10) == 0
        assert w.logged("drained")[0]["left_uncommitted"] == 10
    s.api.clear_faults()
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    assert len(s.held()) == 10


def test_a_second_signal_ends_it_at_once(stage: Stages) -> None:
    s = stage()
    s.api.set_faults([{"hang": True}])
    with worker(**s.settings()) as w:
        s.produce([cart("1")])
        wait_until(lambda: s.api.state().in_flight == 1, "a request that hangs", 20)
        w.signal(signal.SIGINT)
        wait_until(lambda: w.logged("draining"), "the drain")
        w.signal(signal.SIGTERM)
        assert w.exit_code(timeout=2) == 1


def test_pages_are_served_before_kafka_is_there_and_a_stop_is_heeded(free_port: int) -> None:
    """No broker: alive, not ready, says why, and ends with 0 when it is told to."""
    with worker(
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port}", KAFKA_TOPICS="carts", OPTICO_URL="http://127.0.0.1:9"
    ) as w:
        assert w.get("/healthz")[0] == 200
        status, why = w.get("/readyz")
        assert status == 503
        assert "consumer group" in why
        assert w.metrics()["assigned_partitions"] == 0
        assert w.get("/nothing")[0] == 404
        assert w.stop(timeout=15) == 0


def test_a_port_that_is_taken_is_said_and_ends_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with worker(
            KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9",
            KAFKA_TOPICS="carts",
            OPTICO_URL="http://127.0.0.1:9",
            WORKER_HTTP_PORT=port,
        ) as w:
            assert w.exit_code(timeout=15) == 1
            assert port in w.log_text()


def test_a_topic_that_comes_later_is_read(stage: Stages) -> None:
    s = stage()
    later = f"{s.topic}-later"
    with worker(**s.settings(KAFKA_TOPICS=f"{s.topic},{later}")) as w:
        wait_until(lambda: w.logged("these topics do not exist"), "the warning", 30)
        assert w.logged("these topics do not exist")[0]["topics"] == [later]
        status, body = w.get("/readyz")
        assert (status, json.loads(body)["reasons"]) == (
            503,
            [f"topic {later} does not exist, or this user may not see it"],
        )
        s.produce([cart("1")])
        s.wait_all_committed()
        assert w.stop() == 0


def test_bounds_pause_intake_and_everything_goes_on_later(stage: Stages) -> None:
    """With a dead API no more is taken in than the bound and one poll; afterwards all of it arrives."""
    s = stage()
    s.api.set_faults([{"status": 500}])
    with worker(**s.settings(WORKER_MAX_PENDING="100")) as w:
        s.produce([cart(str(i)) for i in range(3000)])
        wait_until(lambda: w.metrics()["intake_paused{reason=max_pending}"] == 1, "intake to pause", 20)
        assert 100 <= w.metrics()["pending_entities"] <= 100 + MAX_POLL_RECORDS
        s.api.clear_faults()
        s.wait_all_committed(120)
        assert w.metrics()["intake_paused{reason=max_pending}"] == 0
        assert w.stop() == 0
    assert len(s.held()) == 3000


def test_rejected_records_become_dead_letters_before_they_are_committed(stage: Stages, topic: TopicFactory) -> None:
    """The letter has the original bytes and says why; poison is put aside once its attempts are used up."""
    s = stage()
    letters = topic()
    half = {"id": "half", "status": 400, "body": r'{"status": "error", "message": "\ud83d!"}'}  # as PHP cuts an emoji
    s.api.set_faults([{"id": "poison", "status": 500}, {"id": "unknown", "envelope": "Unknown visit_id"}, half])
    with worker(**s.settings(KAFKA_DLQ_TOPIC=letters, WORKER_MAX_ATTEMPTS="2")) as w:
        broken = cart("3", products="no")
        s.produce([cart("poison"), cart("unknown"), broken, cart("half")])
        for number in range(200):
            s.produce([cart(f"good-{number}")])  # the API answers others: only so attempts count
            if s.all_committed():
                break
        s.wait_all_committed()
        assert w.total("dead_letters_total") == 4
        assert w.stop() == 0
    written = {dict(letter.headers)["dlq.reason"]: letter for letter in read_all(s.bootstrap, letters)}
    assert set(written) == {b"invalid_event", b"unknown_visit_id", b"attempts_exhausted", b"other_error"}
    assert dict(written[b"other_error"].headers)["dlq.message"] == rb"\ud83d!"
    letter = written[b"invalid_event"]
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (broken.key, broken.value)
    assert headers["dlq.topic"] == s.topic.encode()
    assert headers["dlq.offset"] == b"2"
    assert headers["dlq.entity"] == b"cart"
    assert headers["dlq.id"] == b"3"
    assert b"products" in headers["dlq.message"]
    assert KEY.encode() not in repr(written).encode()


class Latin(str):
    """A header's name as a producer may write it that does not know of UTF-8: neither clients nor brokers look."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return super().encode("latin-1")


def test_a_header_whose_name_is_no_utf8_stops_nobody(stage: Stages, topic: TopicFactory) -> None:
    """The client takes the whole batch for damaged, and what can't be read would end one owner after the other."""
    s = stage()
    letters = topic()
    headers = ((Latin("caf\xe9"), b"1"), ("tea", b"2"))
    records = [cart("1", 1), cart("1", 2), cart("2", products="no"), cart("3", 3)]
    s.produce([replace(record, headers=headers if at % 2 == 0 else ()) for at, record in enumerate(records)])
    s.produce([replace(cart("4", 4), headers=headers)], compression="gzip")
    with worker(**s.settings(KAFKA_DLQ_TOPIC=letters)) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    assert {id_: version(params) for (_, id_), params in s.held().items()} == {"1": 2, "3": 3, "4": 4}
    (letter,) = read_all(s.bootstrap, letters)
    assert dict(letter.headers)[r"caf\xe9"] == b"1"
    assert dict(letter.headers)["tea"] == b"2"


def test_scram_over_tls_with_an_own_authority(kafka_cluster: ClusterFactory) -> None:
    """SASL_SSL with SCRAM-SHA-512; of a wrong password the log tells, and without the password."""
    cluster = kafka_cluster(1, security="SASL_SSL")
    cluster.create_topic("carts", 1)
    client = cluster.security.client()
    produce(cluster.bootstrap, "carts", [cart("1", 4)], **client)
    with Sandbox(keys={KEY}) as api:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
            "KAFKA_TOPICS": "carts",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": client["sasl_plain_username"],
            "KAFKA_SASL_PASSWORD": client["sasl_plain_password"],
            "KAFKA_SSL_CAFILE": str(client["ssl_cafile"]),
            "OPTICO_URL": api.url,
        }
        with worker(**settings) as w:
            wait_until(api.records, "the cart", 30)
            assert w.stop() == 0
        assert version(api.records()[0].params) == 4
        with worker(**settings | {"KAFKA_SASL_PASSWORD": "sk_fake_wrong"}) as w:
            # The broker's word may be lost when it closes the connection; then the log says what that may mean.
            told = ("Authentication failed", "wrong user, password or mechanism")
            wait_until(lambda: any(words in w.log_text() for words in told), "the reason", 40)
            assert "sk_fake_wrong" not in w.log_text()


def test_letters_that_are_too_large_lose_what_does_not_fit_and_hold_nobody_up(
    stage: Stages, topic: TopicFactory
) -> None:
    """First the value goes, then the record's own headers, then its key; small letters beside them stay whole."""
    s = stage()
    letters = topic(max_message_bytes="4000")
    huge = b"x" * 5000
    s.produce(
        [
            Record(b"small", b"{"),
            Record(b"value", huge),
            Record(b"headers", huge, (("trace", huge),)),
            Record(huge, b"{"),
            cart("good"),
        ]
    )
    with worker(**s.settings(KAFKA_DLQ_TOPIC=letters)) as w:
        s.wait_all_committed()
        assert w.stop() == 0
    written = {int(dict(letter.headers)["dlq.offset"]): letter for letter in read_all(s.bootstrap, letters)}
    assert sorted(written) == [0, 1, 2, 3]
    assert [written[offset].key for offset in range(4)] == [b"small", b"value", b"headers", None]
    assert [written[offset].value for offset in range(4)] == [b"{", b"", b"", b""]
    assert [dict(written[offset].headers).get("dlq.truncated") for offset in range(4)] == [None, b"1", b"1", b"1"]


def test_a_stop_before_it_has_started_is_a_stop() -> None:
    """SIGTERM while it is still being loaded ends it with 0, and without a traceback."""
    with worker(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9", KAFKA_TOPICS="carts", OPTICO_URL="http://127.0.0.1:9") as w:
        status = f"/proc/{w.pid}/status"
        wait_until(lambda: int(Path(status).read_text().split("SigCgt:")[1].split()[0], 16) & (1 << 14), "a handler")
        assert w.stop(timeout=15) == 0
        assert "Traceback" not in w.log_text()
