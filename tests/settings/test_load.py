from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.brokers.certificates import write_certificates
from tests.settings.environments import FAKE_KEY, LEAST
from worker.settings import FIELDS, ApiKey, load

# The configuration contract: a default that changes here changes what every deployment does.
DEFAULTS: dict[str, object] = {
    "KAFKA_GROUP_ID": "optico-worker",
    "KAFKA_GROUP_INSTANCE_ID": None,
    "KAFKA_CLIENT_ID": "optico-worker",
    "KAFKA_CLIENT_RACK": None,
    "KAFKA_ASSIGNOR": "cooperative-sticky",
    "KAFKA_AUTO_OFFSET_RESET": "earliest",
    "KAFKA_SESSION_TIMEOUT_MS": 20_000,
    "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    "KAFKA_SASL_MECHANISM": None,
    "KAFKA_SASL_USERNAME": None,
    "KAFKA_SASL_PASSWORD": None,
    "KAFKA_SSL_CAFILE": None,
    "KAFKA_SSL_CERTFILE": None,
    "KAFKA_SSL_KEYFILE": None,
    "KAFKA_SSL_KEY_PASSWORD": None,
    "KAFKA_DLQ_TOPIC": None,
    "OPTICO_URL": "https://www.optico.fr",
    "OPTICO_TIMEOUT_SECONDS": 5,
    "OPTICO_MAX_CONCURRENCY": 32,
    "OPTICO_MAX_REQUESTS_PER_SECOND": 200,
    "OPTICO_CA_FILE": None,
    "OPTICO_MAX_CONNECTION_AGE_SECONDS": 300,
    "OPTICO_MAX_FIELDS": 1000,
    "OPTICO_MAX_BODY_BYTES": 1_000_000,
    "WORKER_COLLAPSE_WINDOW_MS": 500,
    "WORKER_CALL_COLLAPSE_WINDOW_MS": 100,
    "WORKER_MAX_PENDING": 50_000,
    "WORKER_MAX_PENDING_BYTES": 67_108_864,
    "WORKER_MAX_ATTEMPTS": 50,
    "WORKER_REJECTION_LIMIT": 20,
    "WORKER_DRAIN_TIMEOUT_SECONDS": 25,
    "WORKER_DEFAULT_CURRENCY": None,
    "WORKER_DEFAULT_ORDER_STATUS": None,
    "WORKER_ORDER_STATUS_MAP": {},
    "WORKER_EMPTIED_CART_NAME": None,
    "WORKER_CS_CART_ID_FIELDS": ("user_id",),
    "WORKER_ID_PREFIXES": {},
    "WORKER_HTTP_HOST": "::",
    "WORKER_HTTP_PORT": 9464,
    "WORKER_LOG_LEVEL": "info",
    "WORKER_LOG_FORMAT": "json",
}


def setting(settings: object, name: str) -> object:
    group, field = name.lower().split("_", 1)
    return getattr(getattr(settings, group), field)


def test_three_variables_are_enough_and_the_others_have_the_defaults_of_the_contract() -> None:
    settings = load(LEAST)

    assert settings.kafka.bootstrap_servers == ("kafka-1:9092", "kafka-2:9092")
    assert settings.kafka.topics == ("carts", "orders")
    assert settings.optico.api_key.value == FAKE_KEY
    assert {name: setting(settings, name) for name in DEFAULTS} == DEFAULTS
    assert settings.warnings == ()


def test_no_variable_exists_beyond_the_contract() -> None:
    assert set(FIELDS) == {*DEFAULTS, *LEAST}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("KAFKA_TOPICS", " carts , orders ", ("carts", "orders")),
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            "PLAINTEXT://a.example:9092, [::1]:9093,b:1",
            ("PLAINTEXT://a.example:9092", "[::1]:9093", "b:1"),
        ),
        ("KAFKA_ASSIGNOR", "range", "range"),
        ("KAFKA_SECURITY_PROTOCOL", "ssl", "SSL"),
        ("KAFKA_SESSION_TIMEOUT_MS", "18000", 18000),
        ("OPTICO_URL", "http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("OPTICO_URL", "https://gateway.example/optico/", "https://gateway.example/optico"),
        ("OPTICO_TIMEOUT_SECONDS", "2.5", 2.5),
        ("OPTICO_MAX_REQUESTS_PER_SECOND", "0", 0),
        ("WORKER_COLLAPSE_WINDOW_MS", "0", 0),
        ("WORKER_HTTP_PORT", "0", 0),
        ("WORKER_DEFAULT_CURRENCY", "EUR", "EUR"),
        ("WORKER_DEFAULT_ORDER_STATUS", "Terminée", "Terminée"),
        ("WORKER_LOG_LEVEL", "DEBUG", "debug"),
        ("OPTICO_MAX_FIELDS", "0", 0),
        ("OPTICO_MAX_BODY_BYTES", "0", 0),
        ("OPTICO_MAX_CONNECTION_AGE_SECONDS", "0.5", 0.5),
        ("WORKER_REJECTION_LIMIT", "0", 0),
        ("WORKER_ORDER_STATUS_MAP", "P=Processed, C = Envoyée=Livrée ", {"P": "Processed", "C": "Envoyée=Livrée"}),
        ("WORKER_ORDER_STATUS_MAP", "P=Processed,O=Processed", {"P": "Processed", "O": "Processed"}),
        ("WORKER_ORDER_STATUS_MAP", " ", {}),
        ("WORKER_EMPTIED_CART_NAME", "Panier vide", "Panier vide"),
        ("WORKER_CS_CART_ID_FIELDS", "company_id, user_id", ("company_id", "user_id")),
        ("WORKER_ID_PREFIXES", "carts=fr-,orders=fr-", {"carts": "fr-", "orders": "fr-"}),
    ],
)
def test_a_legal_value_is_taken_as_it_is_meant(name: str, text: str, value: object) -> None:
    settings = load({**LEAST, name: text})

    assert setting(settings, name) == value
    assert settings.origins[name] == "environment"
    assert settings.warnings == ()


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_empty_value_counts_as_unset(name: str) -> None:
    settings = load({**LEAST, name: "", f"{name}_FILE": ""})

    assert setting(settings, name) == DEFAULTS[name]
    assert settings.origins[name] == "default"


# Legal and not the default. "FILE": the path of a file with a certificate.
OTHERS = {
    "KAFKA_BOOTSTRAP_SERVERS": "b:1",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SECURITY_PROTOCOL": "SSL",
    "KAFKA_ASSIGNOR": "range",
    "KAFKA_AUTO_OFFSET_RESET": "latest",
    "KAFKA_SESSION_TIMEOUT_MS": "7000",
    "KAFKA_SSL_CAFILE": "FILE",
    "KAFKA_SSL_CERTFILE": "FILE",
    "KAFKA_SSL_KEYFILE": "FILE",
    "OPTICO_URL": "https://optico.example",
    "OPTICO_CA_FILE": "FILE",
    "WORKER_DRAIN_TIMEOUT_SECONDS": "7.5",
    "WORKER_DEFAULT_CURRENCY": "EUR",
    "WORKER_ORDER_STATUS_MAP": "P=Processed",
    "WORKER_ID_PREFIXES": "carts=fr-",
    "WORKER_LOG_LEVEL": "error",
    "WORKER_LOG_FORMAT": "console",
}


@pytest.mark.parametrize("name", sorted({*DEFAULTS, *LEAST}))
def test_every_variable_can_be_read_from_a_file(name: str, tmp_path: Path) -> None:
    path, pem = tmp_path / "value", write_certificates(tmp_path).ca
    text = OTHERS.get(name, "7").replace("FILE", str(pem))
    credentials = {"KAFKA_SASL_USERNAME": "worker", "KAFKA_SASL_PASSWORD": "fake"}
    certificates = {"KAFKA_SSL_CERTFILE": str(pem), "KAFKA_SSL_KEYFILE": str(pem)}
    environ = {**LEAST, **credentials, **certificates, name: ""}
    path.write_text(f"{text}\n")

    from_file = load({**environ, f"{name}_FILE": str(path)})
    direct = load({**environ, name: text})

    assert comparable(from_file, name) == comparable(direct, name)
    assert comparable(direct, name) != DEFAULTS.get(name)
    assert (from_file.origins[name], direct.origins[name]) == ("file", "environment")


def comparable(settings: object, name: str) -> object:
    value = setting(settings, name)
    return value.value if isinstance(value, ApiKey) else value


@pytest.mark.parametrize(
    ("content", "password"),
    [(b"one\n", "one"), (b"one\r\n", "one"), (b"one\n\n", "one\n"), (b" one ", " one "), (b"\xef\xbb\xbfone", "one")],
)
def test_one_trailing_newline_of_a_file_is_dropped_and_nothing_else(
    content: bytes, password: str, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)

    settings = load({**LEAST, "KAFKA_SSL_KEY_PASSWORD_FILE": str(path)})

    assert settings.kafka.ssl_key_password is not None
    assert settings.kafka.ssl_key_password.get_secret_value() == password


def test_an_empty_file_counts_as_unset(tmp_path: Path) -> None:
    path = tmp_path / "group"
    path.write_text("\n")

    settings = load({**LEAST, "KAFKA_GROUP_ID_FILE": str(path)})

    assert settings.kafka.group_id == "optico-worker"
    assert settings.origins["KAFKA_GROUP_ID"] == "default"


def test_the_process_environment_does_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_GROUP_ID", "of-the-process")

    assert load(LEAST).kafka.group_id == "optico-worker"


def test_settings_are_frozen() -> None:
    settings = load(LEAST)

    with pytest.raises(FrozenInstanceError):
        settings.kafka = load(LEAST).kafka  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.kafka.group_id = "another"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.origins["KAFKA_GROUP_ID"] = "file"  # type: ignore[index]
    for mapping in (settings.worker.order_status_map, settings.worker.id_prefixes):
        with pytest.raises(TypeError):
            mapping["a"] = "b"  # type: ignore[index]


def test_no_representation_shows_a_secret() -> None:
    secrets = {"KAFKA_SASL_PASSWORD": "fake-password-1", "KAFKA_SSL_KEY_PASSWORD": "fake-password-2"}
    settings = load({**LEAST, **secrets})

    texts = [repr(settings), str(settings), f"{settings.optico}", repr(settings.optico.model_dump())]

    assert settings.secrets() == {FAKE_KEY, *secrets.values()}
    assert [secret for secret in settings.secrets() for text in texts if secret in text] == []
