from pathlib import Path

import pytest

from tests.settings.environments import FAKE_KEY, LEAST, only_problem, problems
from worker.settings import SettingsError, load


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:port", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:0", "1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "entry 1 has no port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2", "entry 2 has no port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092;kafka-2:9092", "host:port, comma-separated"),
        ("KAFKA_BOOTSTRAP_SERVERS", "http://kafka:9092", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "..:9092", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092,", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "user:fake@kafka:9092", "host:port"),
        ("KAFKA_TOPICS", " ", "topic's name"),
        ("KAFKA_TOPICS", "carts,,orders", "topic's name"),
        ("KAFKA_TOPICS", "carts,or ders", "'or ders'"),
        ("KAFKA_TOPICS", "carts,..", "'..'"),
        ("KAFKA_TOPICS", "c" * 250, "249"),
        ("KAFKA_TOPICS", "carts,orders,carts", "carts more than once"),
        ("KAFKA_GROUP_ID", " ", "is not valid"),
        ("KAFKA_GROUP_INSTANCE_ID", "worker 1", "letters, digits"),
        ("KAFKA_ASSIGNOR", "sticky", "cooperative-sticky or range"),
        ("KAFKA_AUTO_OFFSET_RESET", "none", "earliest or latest"),
        ("KAFKA_SESSION_TIMEOUT_MS", "999", "out of range"),
        ("KAFKA_SESSION_TIMEOUT_MS", "20s", "'20s' is not a whole number"),
        ("KAFKA_SESSION_TIMEOUT_MS", "1.5", "whole number"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        ("KAFKA_SSL_CAFILE", "/nowhere/ca.pem", "can't be read"),
        ("KAFKA_DLQ_TOPIC", "dead letters", "topic's name"),
        ("KAFKA_DLQ_TOPIC", "orders", "one of KAFKA_TOPICS"),
        ("OPTICO_URL", "ftp://www.optico.fr", "http or https"),
        ("OPTICO_URL", "www.optico.fr", "http or https"),
        ("OPTICO_URL", "https://www.optico.fr/?a=b", "query"),
        ("OPTICO_URL", "https://www.optico.fr/?", "query"),
        ("OPTICO_URL", "https://www.optico.fr/#a", "fragment"),
        ("OPTICO_URL", "https://user:fake@www.optico.fr", "password"),
        ("OPTICO_URL", "https://www.optico.fr/api/customer-cart", "endpoint"),
        ("OPTICO_API_KEY", " ", "white space"),
        ("OPTICO_API_KEY", "fake\nkey", "control characters"),
        ("OPTICO_API_KEY", "fake\u200bkey", "control characters"),
        ("OPTICO_TIMEOUT_SECONDS", "0", "out of range"),
        ("OPTICO_TIMEOUT_SECONDS", "nan", "a number above 0"),
        ("OPTICO_TIMEOUT_SECONDS", "five", "'five' is not a number"),
        ("OPTICO_TIMEOUT_SECONDS", "1e300", "out of range"),
        ("OPTICO_TIMEOUT_SECONDS", "46", "out of range"),
        ("OPTICO_MAX_CONCURRENCY", "0", "from 1"),
        ("OPTICO_MAX_REQUESTS_PER_SECOND", "-1", "from 0"),
        ("OPTICO_CA_FILE", "/nowhere/ca.pem", "No such file"),
        ("OPTICO_CA_FILE", "ca\0.pem", "not a path"),
        ("OPTICO_CA_FILE", __file__, "holds no certificate in PEM form (no certificate or crl found)"),
        ("KAFKA_SSL_CAFILE", __file__, "holds no certificate in PEM form"),
        ("OPTICO_MAX_FIELDS", "-1", "from 0"),
        ("OPTICO_MAX_FIELDS", "many", "'many' is not a whole number"),
        ("OPTICO_MAX_BODY_BYTES", "1e6", "whole number"),
        ("OPTICO_MAX_CONNECTION_AGE_SECONDS", "0", "above 0"),
        ("WORKER_REJECTION_LIMIT", "-1", "from 0"),
        ("WORKER_ORDER_STATUS_MAP", "P=Processed,C", "has no = in entry 2"),
        ("WORKER_ORDER_STATUS_MAP", "P=Processed,", "has no = in entry 2"),
        ("WORKER_ORDER_STATUS_MAP", "=Processed", "empty name or value in entry 1"),
        ("WORKER_ORDER_STATUS_MAP", "P= ", "empty name or value in entry 1"),
        ("WORKER_ORDER_STATUS_MAP", "P=Processed,P=Paid", "entry 2 that an earlier entry has too"),
        ("WORKER_ORDER_STATUS_MAP", "P=a\tb", "status=status"),
        ("WORKER_EMPTIED_CART_NAME", " ", "is not valid"),
        ("WORKER_CS_CART_ID_FIELDS", "user_id,,company_id", "names of fields"),
        ("WORKER_CS_CART_ID_FIELDS", "user_id,user_id", "user_id more than once"),
        ("WORKER_ID_PREFIXES", "carts", "has no = in entry 1"),
        ("WORKER_ID_PREFIXES", "car ts=fr-", "topic=prefix"),
        ("WORKER_ID_PREFIXES", "carts=fr-,basket=de-", "names basket, which is not one of KAFKA_TOPICS"),
        ("WORKER_ID_PREFIXES", "carts=fr-,carts=de-", "entry 2 that an earlier entry has too"),
        ("WORKER_COLLAPSE_WINDOW_MS", "-1", "from 0"),
        ("WORKER_MAX_PENDING", "0", "from 1"),
        ("WORKER_MAX_PENDING_BYTES", "0", "from 1"),
        ("WORKER_MAX_ATTEMPTS", "0", "from 1"),
        ("WORKER_DRAIN_TIMEOUT_SECONDS", "5", "longer than OPTICO_TIMEOUT_SECONDS"),
        ("WORKER_DEFAULT_CURRENCY", "eur", "three letters"),
        ("WORKER_DEFAULT_CURRENCY", "EURO", "three letters"),
        ("WORKER_HTTP_PORT", "65536", "65535"),
        ("WORKER_LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("WORKER_LOG_FORMAT", "xml", "json or console"),
    ],
)
def test_an_illegal_value_is_named_with_what_is_allowed(name: str, value: str, words: str) -> None:
    problem = only_problem(**{name: value})

    assert problem.startswith(f"{name}: ")
    assert words in problem


@pytest.mark.parametrize("name", LEAST)
def test_a_missing_required_variable_is_named_whether_unset_or_empty(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({other: value for other, value in LEAST.items() if other != name})

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{name}: is required, but not set; set it to ")
    assert problems(**{name: ""}) == list(caught.value.problems)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVER"),
        ("KAFKA_TOPICS", "KAFKA_TOPIC"),
        ("KAFKA_TOPICS", "WORKER_TOPICS"),
        ("OPTICO_API_KEY", "OPTICO_KEY"),
        ("OPTICO_API_KEY", "OPTICO_API_KEYS_FILE"),
    ],
)
def test_a_required_variable_that_was_misspelt_is_named_with_its_misspelling(name: str, given: str) -> None:
    assert only_problem(**{name: "", given: "fake-value"}) == (
        f"{name}: is required, but not set; {given} is set, but unknown: correct its name"
    )


def test_every_problem_is_named_at_once_in_the_order_of_the_documentation() -> None:
    found = problems(
        WORKER_LOG_LEVEL="loud",
        WORKER_DRAIN_TIMEOUT_SECONDS="4",
        OPTICO_API_KEY="",
        KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        KAFKA_SESSION_TIMEOUT_MS="soon",
        KAFKA_SSL_CERTFILE=__file__,
        KAFKA_TOPICS="a b,c d",
        KAFKA_GROUP_ID_FILE="/nowhere/group",
        KAFKA_CLIENT_ID_FILE=__file__,
        KAFKA_CLIENT_ID="client",
    )

    assert [problem.split(":")[0] for problem in found] == [
        "KAFKA_TOPICS",
        "KAFKA_TOPICS",
        "KAFKA_GROUP_ID",
        "KAFKA_CLIENT_ID",
        "KAFKA_SESSION_TIMEOUT_MS",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_USERNAME",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SSL_KEYFILE",
        "OPTICO_API_KEY",
        "WORKER_DRAIN_TIMEOUT_SECONDS",
        "WORKER_LOG_LEVEL",
    ]


def test_a_sasl_protocol_needs_a_mechanism_and_credentials() -> None:
    found = problems(KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT")

    assert [line.split(":")[0] for line in found] == [
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_USERNAME",
        "KAFKA_SASL_PASSWORD",
    ]


def test_a_sasl_mechanism_needs_both_user_and_password() -> None:
    assert "KAFKA_SASL_PASSWORD: is required with SASL" in only_problem(
        KAFKA_SASL_MECHANISM="PLAIN", KAFKA_SASL_USERNAME="worker"
    )
    assert "KAFKA_SASL_USERNAME: is required with SASL" in only_problem(
        KAFKA_SASL_MECHANISM="PLAIN", KAFKA_SASL_PASSWORD="fake"
    )


def test_a_certificate_needs_its_key_and_a_key_its_certificate() -> None:
    assert only_problem(KAFKA_SSL_CERTFILE=__file__).startswith("KAFKA_SSL_KEYFILE: is required with")
    assert "is set without KAFKA_SSL_CERTFILE" in only_problem(KAFKA_SSL_KEYFILE=__file__)


def test_a_rule_between_two_variables_is_silent_about_one_that_is_wrong_itself() -> None:
    assert only_problem(KAFKA_SSL_CERTFILE="/nowhere", KAFKA_SSL_KEYFILE=__file__).startswith("KAFKA_SSL_CERTFILE:")
    assert only_problem(KAFKA_SECURITY_PROTOCOL_FILE="/nowhere").startswith("KAFKA_SECURITY_PROTOCOL:")
    assert only_problem(KAFKA_SECURITY_PROTOCOL="TLS", KAFKA_BOOTSTRAP_SERVERS="SSL://a:1").startswith("KAFKA_SECURITY")
    assert only_problem(KAFKA_TOPICS="a b", WORKER_ID_PREFIXES="carts=fr-").startswith("KAFKA_TOPICS:")
    assert only_problem(OPTICO_TIMEOUT_SECONDS="long", WORKER_DRAIN_TIMEOUT_SECONDS="1").startswith("OPTICO_TIMEOUT")


def test_the_drain_must_outlast_a_request_also_when_only_the_request_is_configured() -> None:
    assert only_problem(OPTICO_TIMEOUT_SECONDS="30").startswith("WORKER_DRAIN_TIMEOUT_SECONDS: must be longer")
    assert problems(OPTICO_TIMEOUT_SECONDS="30", WORKER_DRAIN_TIMEOUT_SECONDS="30.5") == []


@pytest.mark.parametrize(
    ("servers", "protocol", "entry", "named", "spoken"),
    [
        ("SASL_SSL://kafka:9092", None, 1, "SASL_SSL", "PLAINTEXT"),
        ("kafka-1:9092, SSL://[::1]:9093", "PLAINTEXT", 2, "SSL", "PLAINTEXT"),
        ("PLAINTEXT://kafka:9092", "ssl", 1, "PLAINTEXT", "SSL"),
    ],
)
def test_an_address_with_another_protocol_is_refused(
    servers: str, protocol: str | None, entry: int, named: str, spoken: str
) -> None:
    """The client would ignore it, and send in clear what was to be encrypted."""
    given = {} if protocol is None else {"KAFKA_SECURITY_PROTOCOL": protocol}
    assert only_problem(KAFKA_BOOTSTRAP_SERVERS=servers, **given) == (
        f"KAFKA_BOOTSTRAP_SERVERS: entry {entry} names {named}; set KAFKA_SECURITY_PROTOCOL to it, which is {spoken},"
        " or correct the entry"
    )


@pytest.mark.parametrize("protocol", ["SASL_SSL", "sasl_ssl "])
def test_an_address_with_the_protocol_that_is_spoken_is_taken(protocol: str) -> None:
    sasl = {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "worker", "KAFKA_SASL_PASSWORD": "fake"}
    servers = "SASL_SSL://kafka:9092,[fd00::1]:9092"
    assert problems(**sasl, KAFKA_SECURITY_PROTOCOL=protocol, KAFKA_BOOTSTRAP_SERVERS=servers) == []


def test_a_prefix_is_compared_with_the_topics_only_where_both_are_read() -> None:
    environ = {**LEAST, "KAFKA_TOPICS": "unread", "WORKER_ID_PREFIXES": "carts=fr-"}

    assert load(environ, unread=["KAFKA_TOPICS"]).worker.id_prefixes == {"carts": "fr-"}


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 70_000], ids=["missing", "not UTF-8", "too large"])
def test_an_unreadable_file_is_named_by_its_path(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "group"
    if content is not None:
        path.write_bytes(content)

    problem = only_problem(KAFKA_GROUP_ID_FILE=str(path))

    assert problem.startswith(f"KAFKA_GROUP_ID: the file that KAFKA_GROUP_ID_FILE names, {path}, can't be read (")


def test_a_folder_in_place_of_a_file_is_a_problem(tmp_path: Path) -> None:
    assert "Is a directory" in only_problem(KAFKA_GROUP_ID_FILE=str(tmp_path))


def test_an_empty_file_of_a_required_variable_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch()

    problem = only_problem(OPTICO_API_KEY="", OPTICO_API_KEY_FILE=str(path))

    assert problem.startswith(f"OPTICO_API_KEY: the file that OPTICO_API_KEY_FILE names, {path}, is empty")


def test_a_variable_and_its_file_at_once_are_a_problem() -> None:
    problem = only_problem(OPTICO_API_KEY_FILE=__file__)

    assert problem == "OPTICO_API_KEY: is set twice, by OPTICO_API_KEY and by OPTICO_API_KEY_FILE; keep one of them"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPTICO_API_KEY", f"{FAKE_KEY}\n{FAKE_KEY}"),
        ("OPTICO_URL", f"https://user:{FAKE_KEY}@www.optico.fr"),
        ("OPTICO_URL", f"https://www.optico.fr:{FAKE_KEY}"),
        ("KAFKA_BOOTSTRAP_SERVERS", f"user:{FAKE_KEY}@kafka:9092"),
        ("KAFKA_SSL_KEY_PASSWORD", f"{FAKE_KEY}\udcff"),
    ],
)
def test_a_refused_value_that_may_hold_a_secret_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({**LEAST, name: value})

    error: BaseException | None = caught.value
    while error is not None:
        assert FAKE_KEY not in f"{error!s}{error!r}"
        error = error.__context__


@pytest.mark.parametrize("content", [FAKE_KEY, f"a={FAKE_KEY},={FAKE_KEY}", f"{FAKE_KEY}=a,{FAKE_KEY}=b"])
def test_the_content_of_a_file_of_pairs_is_not_repeated(content: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs"
    path.write_text(content)

    assert FAKE_KEY not in only_problem(WORKER_ORDER_STATUS_MAP_FILE=str(path))


def test_the_content_of_a_file_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(FAKE_KEY)

    problem = only_problem(WORKER_LOG_LEVEL_FILE=str(path))

    assert problem == "WORKER_LOG_LEVEL: is not known; set debug, info, warning or error"
