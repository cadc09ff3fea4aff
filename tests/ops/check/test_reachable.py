"""The API's side, and everything away: no Kafka is needed."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.certificates import write_certificates
from tests.ops.check.web import answering
from tests.ops.program import KEY, Answer, on_a_terminal, optico
from worker.ops.check.api import check
from worker.ops.check.finding import Finding
from worker.settings import Optico, load

PASSWORD = "fake-password-987"
NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_TOPICS": "carts", "OPTICO_URL": "http://127.0.0.1:1"}


def findings(answer: Answer, check: str) -> list[dict[str, Any]]:
    return [finding for finding in answer.json["checks"] if finding["check"] == check]


def test_with_everything_down_it_ends_soon_and_says_what_to_do() -> None:
    started = time.monotonic()
    answer = optico("check", variables=NOWHERE | {"KAFKA_DLQ_TOPIC": "letters"})

    assert answer.code == 1
    assert time.monotonic() - started < 30
    red = [line.split("\t") for line in answer.out.splitlines() if line.startswith("red\t")]
    assert [(check, subject) for _, check, subject, *_ in red] == [
        ("brokers", "127.0.0.1:1"),
        ("api", "http://127.0.0.1:1"),
    ]
    assert all(remedy for *_, remedy in red)
    assert answer.err.endswith("2 red\n")


def test_a_server_that_takes_connections_and_never_answers_is_told_of_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        variables = {"KAFKA_BOOTSTRAP_SERVERS": address, "OPTICO_URL": f"http://{address}", "KAFKA_TOPICS": "carts"}
        started = time.monotonic()
        answer = optico("check", "--json", variables=variables)

    assert answer.code == 1
    assert time.monotonic() - started < 30
    assert [finding["verdict"] for finding in findings(answer, "brokers") + findings(answer, "api")] == ["red", "red"]


@pytest.mark.parametrize("server", ["nowhere.invalid:9092", "PLAINTEXT://nowhere.invalid:9092"])
def test_a_broker_s_name_without_an_address_is_named_and_the_json_stays_one_document(server: str) -> None:
    variables = NOWHERE | {"KAFKA_BOOTSTRAP_SERVERS": server}
    answer = optico("check", "--json", variables=variables)
    (brokers,) = findings(answer, "brokers")
    assert (brokers["verdict"], "nowhere.invalid has no address" in brokers["detail"]) == ("red", True)
    assert answer.err == ""


def test_bad_configuration_exits_with_2_and_nothing_on_standard_output() -> None:
    answer = optico("check", "--json", variables={"KAFKA_TOPICS": "carts", "OPTICO_URL": "nonsense"})

    assert (answer.code, answer.out) == (2, "")
    assert "KAFKA_BOOTSTRAP_SERVERS" in answer.err
    assert "OPTICO_URL" in answer.err


def test_every_variable_is_listed_with_its_origin_a_misspelt_one_is_a_warning_and_no_secret_is_shown(
    tmp_path: Path,
) -> None:
    secret, group = tmp_path / "password", tmp_path / "group"
    secret.write_text(PASSWORD)
    group.write_text("a-group-or-a-key-by-mistake")
    variables = NOWHERE | {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": PASSWORD,
        "KAFKA_SASL_PASSWORD_FILE": str(secret),
        "KAFKA_GROUP_ID_FILE": str(group),
        "KAFKA_TOPIC": KEY,
    }

    answer = optico("check", "--json", variables=variables)
    listed = {each["name"]: (each["value"], each["origin"]) for each in answer.json["configuration"]}

    assert PASSWORD not in answer.out + answer.err
    assert listed["KAFKA_TOPICS"] == ("carts", "environment")
    assert listed["OPTICO_TIMEOUT_SECONDS"] == ("5", "default")
    assert listed["KAFKA_DLQ_TOPIC"] == (None, "default")
    assert listed["OPTICO_API_KEY"] == ("***", "environment")
    assert listed["KAFKA_SASL_USERNAME"] == ("***", "environment")
    assert listed["KAFKA_SASL_PASSWORD"] == ("***", f"file {secret}")
    assert listed["KAFKA_GROUP_ID"] == ("***", f"file {group}")
    warnings = [finding for finding in findings(answer, "configuration") if finding["verdict"] == "warn"]
    assert next(warning["subject"] for warning in warnings) == "KAFKA_TOPIC"


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, "ok"), (404, "ok"), (301, "warn"), (503, "red")], ids=["200", "404", "301", "503"]
)
def test_the_status_of_the_api_is_judged(status: int, verdict: str) -> None:
    with answering(status) as url:
        api, *_ = looked_at(url)

    assert (api.verdict, api.facts["status"]) == (verdict, status)


@pytest.mark.parametrize(
    ("clock", "verdict"), [(0.0, "ok"), (3600.0, "warn"), (-3600.0, "warn"), (None, "warn")], ids=str
)
def test_our_clock_is_compared_with_the_apis(clock: float | None, verdict: str) -> None:
    with answering(clock=clock) as url:
        _, found, _ = looked_at(url)

    skew = found.facts["skew_seconds"]
    assert found.verdict == verdict
    assert skew is None if clock is None else skew == pytest.approx(-clock, abs=10)


def test_a_certificate_of_an_unknown_authority_is_red_until_that_authority_is_named(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)

    with answering(tls=files.broker) as url:
        refused, *_ = looked_at(url)
        accepted, *_ = looked_at(url, files.ca)
        settings = reaching(url, files.ca)
        files.ca.write_text("nonsense")
        nothing, *_ = check(settings)

    assert refused.verdict == "red"
    assert "OPTICO_CA_FILE" in refused.remedy
    assert (accepted.verdict, accepted.facts["tls"]) == ("ok", True)
    assert (nothing.verdict, nothing.remedy) == ("red", "correct OPTICO_CA_FILE")


def test_a_proxy_that_is_not_supported_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    found, *_ = looked_at("https://optico.invalid")
    assert (found.verdict, found.remedy) == ("red", "name an http:// proxy, or except the API's host by NO_PROXY")
    assert "names socks5://proxy.example; only http:// proxies are supported" in found.detail


def test_a_certificate_of_another_host_is_red_and_the_name_is_what_to_correct(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    with answering(tls=files.broker, host="127.0.0.2") as url:
        found, *_ = looked_at(url, files.ca)
    assert (found.verdict, "correct the host's name" in found.remedy) == ("red", True)


def test_a_host_without_an_address_is_red_and_its_name_is_what_to_correct() -> None:
    found, *_ = looked_at("https://nowhere.invalid")
    assert (found.verdict, "a host that has no address" in found.remedy) == ("red", True)


@pytest.mark.parametrize("status", [200, 400])
def test_an_http_address_of_a_tls_port_is_red_whatever_it_answers(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers close the connection, others answer 400 to plain text on the same port."""
    files = write_certificates(tmp_path)
    with answering(tls=files.broker) as tls, answering(status) as plain:
        port = int(tls.rpartition(":")[2])
        if status == 200:
            found, *_ = looked_at(f"http://127.0.0.1:{port}")
        else:  # one that answers both: its TLS side stands on a port of its own
            really = socket.create_connection
            monkeypatch.setattr(socket, "create_connection", lambda at, *more: really((at[0], port), *more))
            found, *_ = looked_at(plain)
    assert (found.verdict, found.detail) == ("red", "its port speaks TLS")
    assert "https://" in found.remedy


def test_an_https_address_of_a_plain_port_is_red_and_says_so() -> None:
    with answering() as url:
        found, *_ = looked_at(url.replace("http://", "https://"))
    assert (found.verdict, "speaks no TLS" in found.remedy) == ("red", True)


def looked_at(url: str, ca_file: Path | None = None) -> list[Finding]:
    return list(check(reaching(url, ca_file)))


def reaching(url: str, ca_file: Path | None = None) -> Optico:
    variables = NOWHERE | {"OPTICO_URL": url, "OPTICO_API_KEY": KEY}
    more = {} if ca_file is None else {"OPTICO_CA_FILE": str(ca_file)}
    return load(variables | more).optico


def test_a_person_gets_tables() -> None:
    seen = on_a_terminal("check", variables=NOWHERE)

    assert "Configuration" in seen
    assert "│" in seen
    assert "KAFKA_TOPICS" in seen
