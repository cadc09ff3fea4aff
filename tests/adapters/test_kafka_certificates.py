"""TLS files that can't be used are said, and not taken for a broker that is away."""

from pathlib import Path

import pytest

from tests.brokers.certificates import KEY_PASSWORD, write_certificates
from worker.adapters.kafka.connection import _try_certificates, connect
from worker.ports import FatalError
from worker.settings import Kafka, load


@pytest.mark.parametrize("password", ["fake-wrong-password", ""])
def test_a_key_that_its_password_does_not_open_is_said(tmp_path: Path, password: str) -> None:
    """Without a password too: nobody is asked for one on the terminal."""
    files = write_certificates(tmp_path)
    with pytest.raises(FatalError, match="KAFKA_SSL_KEY_PASSWORD"):
        _connect(files.ca, files.client, files.client_key, password)


def test_an_authority_whose_certificate_is_gone_is_said(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    settings = _settings(files.ca, files.client, files.client_key, KEY_PASSWORD)
    files.ca.write_text("nothing")
    with pytest.raises(FatalError, match="KAFKA_SSL_CAFILE"):
        connect(lambda **_: pytest.fail("it must not come to that"), settings)


def test_files_that_are_right_are_no_problem(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    _try_certificates(_settings(files.ca, files.client, files.client_key, KEY_PASSWORD))


def _connect(ca: Path, certificate: Path, key: Path, password: str) -> None:
    connect(lambda **_: pytest.fail("it must not come to that"), _settings(ca, certificate, key, password))


def _settings(ca: Path, certificate: Path, key: Path, password: str) -> Kafka:
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_TOPICS": "carts",
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CAFILE": str(ca),
        "KAFKA_SSL_CERTFILE": str(certificate),
        "KAFKA_SSL_KEYFILE": str(key),
        "KAFKA_SSL_KEY_PASSWORD": password,
        "OPTICO_API_KEY": "sk_fake",
    }
    return load(variables).kafka
