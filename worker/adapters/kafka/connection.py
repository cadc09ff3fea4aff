"""How every client of the cluster connects, and what its errors mean."""

import ssl
from collections.abc import Callable
from typing import Any

from kafka.errors import KafkaError

from worker.adapters.kafka import bootstrap as bootstrap  # noqa: PLC0414 - what it changes counts
from worker.adapters.kafka.names import NAMES
from worker.adapters.kafka.network import Network
from worker.ports import FatalError, UnavailableError
from worker.settings import Kafka


def connection(settings: Kafka) -> dict[str, Any]:
    """What every client of the cluster needs: addresses, encryption, authentication."""
    config: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "metrics_enabled": False,
        "reconnect_backoff_max_ms": 5_000,
    }
    if settings.sasl_mechanism is not None and settings.security_protocol.startswith("SASL"):
        password = settings.sasl_password
        config |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": password.get_secret_value() if password is not None else None,
        }
    if settings.security_protocol.endswith("SSL"):
        key_password = settings.ssl_key_password
        config |= {
            "ssl_cafile": settings.ssl_cafile,
            "ssl_certfile": settings.ssl_certfile,
            "ssl_keyfile": settings.ssl_keyfile,
            "ssl_password": key_password.get_secret_value() if key_password is not None else None,
        }
    return config


def connect(kind: Callable[..., Any], settings: Kafka, **config: Any) -> Any:
    """A client of that kind. May block for its `bootstrap_timeout_ms`.

    Raises UnavailableError if no broker answers, FatalError if they refuse us or a certificate can't be used.
    """
    _try_certificates(settings)
    network = Network()
    try:
        with mapped("connecting to Kafka"):
            client = kind(**connection(settings), kafka_client=network, **config)
    except BaseException as error:
        network.close()
        if network.refusal is not None:
            raise FatalError(f"connecting to Kafka: {network.refusal}") from error
        if network.dropped and settings.security_protocol.startswith("SASL"):
            # A broker says why and closes; which of the two the library sees first is a matter of chance.
            hint = "the brokers close the connection while it is set up: wrong user, password or mechanism?"
            raise UnavailableError(f"{error}; {hint}") from error
        nowhere = NAMES.without_address(settings.bootstrap_servers)
        if nowhere and isinstance(error, UnavailableError):
            raise UnavailableError(f"{error}; {', '.join(nowhere)} has no address: is the name right?") from error
        if network.dropped and isinstance(error, UnavailableError):
            hint = "the brokers accept connections and close them: is theirs a TLS port (KAFKA_SECURITY_PROTOCOL)?"
            raise UnavailableError(f"{error}; {hint}") from error
        if isinstance(error, OSError | ValueError):
            raise FatalError(f"connecting to Kafka: {type(error).__name__}: {error}") from error
        raise
    network.forget()
    return client


def _try_certificates(settings: Kafka) -> None:
    """The library takes files that it can't use, or a key that it can't open, for a broker that is away."""
    if not settings.security_protocol.endswith("SSL"):
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    password = settings.ssl_key_password
    doing = "KAFKA_SSL_CAFILE can't be used"
    try:
        if settings.ssl_cafile is not None:
            context.load_verify_locations(settings.ssl_cafile)
        doing = "KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE can't be used (is KAFKA_SSL_KEY_PASSWORD right?)"
        if settings.ssl_certfile is not None:
            # With no password OpenSSL would ask for one on the terminal.
            secret = "" if password is None else password.get_secret_value()
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, secret)
    except OSError as error:
        raise FatalError(f"connecting to Kafka: {doing}: {error}") from error


class mapped:  # noqa: N801 - reads as the context manager that it is
    """Maps the library's exceptions: retriable ones to UnavailableError, all others to FatalError."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, KafkaError):
            kind = UnavailableError if error.retriable else FatalError
            raise kind(f"{self._doing}: {error}") from error
