from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.certificates import write_certificates
from tests.settings.environments import LEAST
from worker.adapters.kafka.consumer import MAX_POLL_INTERVAL
from worker.adapters.kafka.listener import COMMITTED_WITHIN
from worker.app import REVOKE_MARGIN
from worker.engine.supervisor import POLL_STALLED_AFTER
from worker.settings import FIELDS, load
from worker.settings.model import LONGEST_TIMEOUT


def warnings(**variables: str) -> tuple[str, ...]:
    return load({**LEAST, **variables}).warnings


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("OPTICO_API_KEYS", "OPTICO_API_KEY"),
        ("OPTICO_API_KEYS_FILE", "OPTICO_API_KEY_FILE"),
        ("OPTICO_CA", "OPTICO_CA_FILE"),
        ("KAFKA_TOPIC", "KAFKA_TOPICS"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_GROUPID", "KAFKA_GROUP_ID"),
        ("WORKER_TOPICS", "KAFKA_TOPICS"),
        ("WORKER_API_KEY_FILE", "OPTICO_API_KEY_FILE"),
        ("WORKER_HTTP_PROT", "WORKER_HTTP_PORT"),
        ("WORKER_HTP_PORT", "WORKER_HTTP_PORT"),
        ("WORKER_PORT", "WORKER_HTTP_PORT"),
        ("OPTICO_TIMEOUT", "OPTICO_TIMEOUT_SECONDS"),
        ("KAFKA_USERNAME", "KAFKA_SASL_USERNAME"),
        ("KAFKA_SASL_PASS", "KAFKA_SASL_PASSWORD"),
    ],
)
def test_an_unknown_variable_is_warned_of_with_the_nearest_known_one(name: str, nearest: str) -> None:
    assert warnings(**{name: "9464"}) == (
        f"{name}: unknown, so it has no effect; the nearest known variable is {nearest}",
    )


@pytest.mark.parametrize(
    "name",
    [
        "KAFKA_OPTS",
        "KAFKA_HEAP_OPTS",
        "KAFKA_HOME",
        "KAFKA_FILE",
        "KAFKA_",
        "WORKER_NODES",
        "WORKER_THREADS",
        "OPTICO_ENV",
    ],
)
def test_no_variable_is_suggested_where_none_is_near(name: str) -> None:
    assert warnings(**{name: "x"}) == (f"{name}: unknown, so it has no effect",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA_SERVICE_PORT", "9092"),
        ("KAFKA_SERVICE_PORT_TCP_CLIENT", "9092"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT", "9092"),
        ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT_9092_TCP_PROTO", "tcp"),
        ("KAFKA_PORT_9092_TCP_PORT", "9092"),
        ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("KAFKA_PORT_53_UDP_ADDR", "10.0.0.1"),
        ("KAFKA_PORT_53_SCTP", "sctp://10.0.0.1:53"),
        ("KAFKA_HEADLESS_SERVICE_HOST", "10.0.0.1"),
        ("OPTICO_WORKER_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("WORKER_PORT", "tcp://10.0.0.1:9464"),
    ],
)
def test_a_service_variable_of_kubernetes_is_not_warned_of(name: str, value: str) -> None:
    assert warnings(**{name: value}) == ()


@given(
    prefix=st.sampled_from(["KAFKA_", "OPTICO_", "WORKER_"]),
    rest=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0="), max_size=40),
)
def test_any_other_name_with_our_prefixes_gives_one_printable_warning(prefix: str, rest: str) -> None:
    name = prefix + rest
    environ = {**LEAST, name: "secret-looking-value"}
    if name.removesuffix("_FILE") in FIELDS or name in FIELDS or rest.endswith(("PORT", "HOST", "TCP", "UDP", "SCTP")):
        return

    found = load(environ).warnings

    assert len(found) == 1
    assert found[0].isprintable()
    assert "secret-looking-value" not in found[0]
    assert found[0].rsplit(" ", 1)[1].removesuffix("_FILE") in {*FIELDS, "OPTICO_CA", "effect"}


@given(name=st.text(alphabet="ABCKAFOPTIWER_", min_size=1))
def test_a_name_without_our_prefixes_is_nobodys_business(name: str) -> None:
    if not name.startswith(("KAFKA_", "OPTICO_", "WORKER_")):
        assert warnings(**{name: "x"}) == ()


@pytest.mark.parametrize(
    "key", ['"fake-key"', "'fake-key'", "fake key", "Bearer fake-key", "\u201cfake-key\u201d", "fake\u00a0key"]
)
def test_a_key_with_quotes_or_a_space_is_warned_of_and_not_repeated(key: str) -> None:
    assert warnings(OPTICO_API_KEY=key) == (
        "OPTICO_API_KEY: holds quotes or a space, which are sent as a part of it; set it to the key alone",
    )


def test_a_key_with_spaces_around_it_is_warned_of(tmp_path: Path) -> None:
    around = ("OPTICO_API_KEY: has spaces around it, which are left out; set it to the key alone",)
    path = tmp_path / "key"
    for content, expected in ((" fake-key\n", around), ("fake-key\t", around), ("fake-key\r\n\n", ())):
        path.write_text(content, newline="")
        assert warnings(OPTICO_API_KEY="", OPTICO_API_KEY_FILE=str(path)) == expected
    assert warnings(OPTICO_API_KEY=" fake-key") == around


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]", "http://localhost", "https://optico.example"])
def test_an_address_that_keeps_the_key_private_is_not_warned_of(url: str) -> None:
    assert warnings(OPTICO_URL=url) == ()


@pytest.mark.parametrize("url", ["http://www.optico.fr", "http://10.0.0.1:8080", "http://localhost.example"])
def test_an_address_that_sends_the_key_in_clear_over_a_network_is_warned_of(url: str) -> None:
    assert warnings(OPTICO_URL=url) == ("OPTICO_URL: is http, so the API key travels in clear; use https",)


def test_credentials_and_certificates_that_the_protocol_ignores_are_warned_of(tmp_path: Path) -> None:
    ca = str(write_certificates(tmp_path).ca)
    sasl = {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "worker", "KAFKA_SASL_PASSWORD": "fake"}

    found = warnings(**sasl, KAFKA_SSL_CAFILE=ca)

    assert [line.split(":")[0] for line in found] == ["KAFKA_SASL_MECHANISM", "KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE"]
    assert warnings(**sasl, KAFKA_SSL_CAFILE=ca, KAFKA_SECURITY_PROTOCOL="SASL_SSL") == ()


def test_a_password_that_travels_in_clear_is_warned_of() -> None:
    sasl = {"KAFKA_SASL_USERNAME": "worker", "KAFKA_SASL_PASSWORD": "fake", "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}

    assert "travels in clear" in warnings(**sasl, KAFKA_SASL_MECHANISM="PLAIN")[0]
    assert warnings(**sasl, KAFKA_SASL_MECHANISM="SCRAM-SHA-512") == ()


@pytest.mark.parametrize(("timeout", "session"), [("5", "20000"), ("0.5", "4500"), ("45", "138000")])
def test_a_deadline_beside_its_session_is_unusual_from_a_third_on(timeout: str, session: str) -> None:
    """What a worker that is cut off began before its lease ended is over then, before others own its partitions."""
    settings = {"OPTICO_TIMEOUT_SECONDS": timeout, "WORKER_DRAIN_TIMEOUT_SECONDS": "60"}
    assert warnings(**settings, KAFKA_SESSION_TIMEOUT_MS=session) == ()
    (said,) = warnings(**settings, KAFKA_SESSION_TIMEOUT_MS=str(int(session) - 3000))
    assert said.startswith("OPTICO_TIMEOUT_SECONDS: is long beside KAFKA_SESSION_TIMEOUT_MS")


def test_a_rebalance_never_waits_for_requests_as_long_as_a_poll_may_take() -> None:
    longest = LONGEST_TIMEOUT + REVOKE_MARGIN + COMMITTED_WITHIN
    assert longest < min(POLL_STALLED_AFTER, MAX_POLL_INTERVAL)
