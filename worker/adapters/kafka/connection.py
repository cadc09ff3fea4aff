"""How every client of the cluster connects, and what its errors mean."""

from typing import Any

from kafka.errors import KafkaError

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
