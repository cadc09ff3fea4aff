"""Settings that are legal, but seldom meant."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from worker.settings.model import Kafka, Optico


def unusual(kafka: Kafka, optico: Optico) -> Iterator[str]:
    """A warning for each; none holds a value."""
    if optico.url.startswith("http://") and not _loopback(urlsplit(optico.url).hostname or ""):
        yield "OPTICO_URL: is http, so the API key travels in clear; use https"
    if optico.api_key.odd is not None:
        yield f"OPTICO_API_KEY: {optico.api_key.odd}"
    if not kafka.security_protocol.startswith("SASL") and kafka.sasl_mechanism is not None:
        yield "KAFKA_SASL_MECHANISM: has no effect, as KAFKA_SECURITY_PROTOCOL is not a SASL one"
    if not kafka.security_protocol.endswith("SSL") and (kafka.ssl_cafile or kafka.ssl_certfile):
        yield "KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE: have no effect, as KAFKA_SECURITY_PROTOCOL is not an SSL one"
    if kafka.security_protocol == "SASL_PLAINTEXT" and kafka.sasl_mechanism == "PLAIN":
        yield "KAFKA_SECURITY_PROTOCOL: is SASL_PLAINTEXT, so Kafka's password travels in clear; use SASL_SSL"
    if optico.timeout_seconds + 1 > kafka.session_timeout_ms / 3000:
        yield (
            "OPTICO_TIMEOUT_SECONDS: is long beside KAFKA_SESSION_TIMEOUT_MS, so a request of a worker that is cut off"
            " may end after others own its partitions; let the session last three times as long, and three seconds"
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
