"""Brokers that speak Kafka's protocol and are not quite Kafka, and a group whose other members are not like us."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient
from kafka.coordinator.assignors.range import RangePartitionAssignor

from tests.brokers.tools import group_state, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import KEY, worker
from tests.integration.test_life import Stages
from tests.ops.program import Answer, inside
from worker.adapters.kafka import api_versions
from worker.adapters.kafka.admin import open_admin
from worker.settings import load

API_VERSIONS = 18


class HangsUp:
    """A broker's address that closes each connection whose ApiVersions is newer than `newest`, and passes on others."""

    def __init__(self, bootstrap: str, newest: int) -> None:
        self.asked: list[int] = []
        host, _, port = bootstrap.rpartition(":")
        self._behind, self._newest = (host, int(port)), newest
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, socket.create_connection(self._behind) as broker:
            first = peer.recv(8, socket.MSG_WAITALL)
            if len(first) < 8:
                return
            _, kind, version = struct.unpack(">ihh", first)
            self.asked.append(version)
            if kind == API_VERSIONS and version > self._newest:
                return
            broker.sendall(first)
            back = threading.Thread(target=_pump, args=(broker, peer), daemon=True)
            back.start()
            _pump(peer, broker)
            back.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def hangs_up(bootstrap: str, newest: int) -> Iterator[HangsUp]:
    made = HangsUp(bootstrap, newest)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("newest", [3, 2])
def test_a_broker_that_hangs_up_on_a_new_api_versions_is_asked_with_a_lower_one(stage: Stages, newest: int) -> None:
    s = stage()
    with hangs_up(s.bootstrap, newest) as broker:
        settings = load({"OPTICO_API_KEY": KEY, **s.settings(KAFKA_BOOTSTRAP_SERVERS=broker.address)})
        with open_admin(settings.kafka) as admin:
            assert admin.topics([s.topic])[s.topic].problem is None
    assert broker.asked[0] > newest >= broker.asked[-1]
    assert len(broker.asked) <= len(api_versions._NEXT)


def test_a_broker_that_hangs_up_on_every_one_is_told_apart_from_one_that_is_away(stage: Stages) -> None:
    s = stage()
    with hangs_up(s.bootstrap, -1) as broker:
        found = findings(inside("check", "--json", variables=keyed(s, KAFKA_BOOTSTRAP_SERVERS=broker.address)))
    assert found["brokers"]["verdict"] == "red"
    assert "the brokers accept connections and close them" in found["brokers"]["detail"]


def keyed(s: Stage, **more: str) -> dict[str, str]:
    return s.settings(OPTICO_API_KEY=KEY, **more)


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in answer.json["checks"]}


def test_a_right_that_this_client_does_not_know_stops_neither_check_nor_replay(
    stage: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage()
    s.produce([cart("1")])
    group_state(s.bootstrap, s.group)

    def with_another(found: dict[str, Any]) -> dict[str, Any]:
        found["authorized_operations"] = [3, 4, 8, 99]
        return found

    answering(monkeypatch, "_process_acl_operations", with_another)
    found = findings(inside("check", "--json", variables=keyed(s)))
    assert (found["topic rights"]["verdict"], found["group rights"]["verdict"]) == ("ok", "ok")
    assert inside("replay", "--to-earliest", variables=keyed(s)).code == 0


def test_an_answer_that_can_not_be_read_is_one_line_and_the_other_checks_go_on(
    stage: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage()
    group_state(s.bootstrap, s.group)

    def unreadable(_: Any) -> Any:
        raise ValueError("77 is not a valid kind")

    answering(monkeypatch, "_process_acl_operations", unreadable)
    found = findings(inside("check", "--json", variables=keyed(s)))
    for check in ("topics", "group"):
        assert (found[check]["verdict"], "not quite Kafka" in found[check]["remedy"]) == ("red", True)
        assert "77 is not a valid kind" in found[check]["detail"]
    assert found["dead letters"]["verdict"] == "ok"
    replayed = inside("replay", "--to-earliest", variables=keyed(s))
    assert (replayed.code, replayed.err.count("\n")) == (1, 1)
    assert "the brokers' answer can't be read" in replayed.err


def answering(monkeypatch: pytest.MonkeyPatch, name: str, answer: Callable[[Any], Any]) -> None:
    """The brokers' descriptions, as they come in, changed by this."""
    really = getattr(KafkaAdminClient, name)
    monkeypatch.setattr(KafkaAdminClient, name, lambda admin, found: really(admin, answer(found)))


def test_a_member_with_another_assignor_is_said_and_its_variable_named(stage: Stages) -> None:
    s = stage()
    other = KafkaConsumer(
        s.topic,
        bootstrap_servers=s.bootstrap,
        group_id=s.group,
        partition_assignment_strategy=[RangePartitionAssignor],
    )
    try:
        wait_until(lambda: [other.poll(timeout_ms=300)] and other.assignment(), "the other member", 30)
        answer = inside("check", "--json", variables=keyed(s))
        assert answer.code == 1
        assert findings(answer)["assignor"]["facts"] == {"theirs": "range", "ours": "cooperative-sticky"}
        assert "KAFKA_ASSIGNOR" in findings(answer)["assignor"]["remedy"]
        with worker(**s.settings()) as w:
            assert w.exit_code() == 1
            reason = w.logged("the worker ends with a failure")[0]["reason"]
        assert f"another member of group {s.group} does not share partitions by cooperative-sticky" in reason
        assert "KAFKA_ASSIGNOR must be the same for all members" in reason
    finally:
        other.close()
