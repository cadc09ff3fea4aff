"""Who may connect to a test broker, and how: what the broker and its clients must be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tests.brokers.certificates import KEY_PASSWORD, Certificates, write_certificates

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

USERNAME = "worker"
PASSWORD = "not-a-secret"
SCRAM: tuple[Mechanism, ...] = ("SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True)
class Security:
    """The protocol of the listener that clients use. Brokers and controllers speak PLAINTEXT among themselves."""

    protocol: Protocol
    certificates: Certificates | None
    client_certificate_required: bool

    @classmethod
    def create(cls, protocol: Protocol, folder: Path, *, client_certificate_required: bool = False) -> Self:
        tls = protocol in ("SSL", "SASL_SSL")
        return cls(protocol, write_certificates(folder) if tls else None, client_certificate_required)

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def broker_properties(self, listener: str) -> dict[str, str]:
        """What the broker's configuration says about `listener`."""
        prefix = f"listener.name.{listener.lower()}"
        properties = {}
        if self.certificates is not None:
            properties[f"{prefix}.ssl.keystore.type"] = "PEM"
            properties[f"{prefix}.ssl.keystore.location"] = str(self.certificates.broker)
            properties[f"{prefix}.ssl.truststore.type"] = "PEM"
            properties[f"{prefix}.ssl.truststore.location"] = str(self.certificates.ca)
            properties[f"{prefix}.ssl.client.auth"] = "required" if self.client_certificate_required else "none"
        if self.sasl:
            modules = "org.apache.kafka.common.security"
            properties[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(("PLAIN", *SCRAM))
            properties[f"{prefix}.plain.sasl.jaas.config"] = (
                f'{modules}.plain.PlainLoginModule required user_{USERNAME}="{PASSWORD}";'
            )
            for mechanism in SCRAM:
                properties[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = (
                    f"{modules}.scram.ScramLoginModule required;"
                )
        return properties

    def format_arguments(self) -> list[str]:
        """What formatting the storage must be told: SCRAM users live there."""
        if not self.sasl:
            return []
        users = (f"{mechanism}=[name={USERNAME},password={PASSWORD}]" for mechanism in SCRAM)
        return [part for user in users for part in ("--add-scram", user)]

    def variables(self, mechanism: Mechanism = "SCRAM-SHA-512") -> dict[str, str]:
        """The worker's environment variables for this listener."""
        variables = {"KAFKA_SECURITY_PROTOCOL": str(self.protocol)}
        if self.sasl:
            variables["KAFKA_SASL_MECHANISM"] = mechanism
            variables |= {"KAFKA_SASL_USERNAME": USERNAME, "KAFKA_SASL_PASSWORD": PASSWORD}
        if self.certificates is not None:
            variables["KAFKA_SSL_CAFILE"] = str(self.certificates.ca)
            if self.client_certificate_required:
                variables["KAFKA_SSL_CERTFILE"] = str(self.certificates.client)
                variables["KAFKA_SSL_KEYFILE"] = str(self.certificates.client_key)
                variables["KAFKA_SSL_KEY_PASSWORD"] = KEY_PASSWORD
        return variables

    def client(self, mechanism: Mechanism = "SCRAM-SHA-512") -> dict[str, Any]:
        """kafka-python's arguments for this listener."""
        names = {
            "KAFKA_SECURITY_PROTOCOL": "security_protocol",
            "KAFKA_SASL_MECHANISM": "sasl_mechanism",
            "KAFKA_SASL_USERNAME": "sasl_plain_username",
            "KAFKA_SASL_PASSWORD": "sasl_plain_password",
            "KAFKA_SSL_CAFILE": "ssl_cafile",
            "KAFKA_SSL_CERTFILE": "ssl_certfile",
            "KAFKA_SSL_KEYFILE": "ssl_keyfile",
            "KAFKA_SSL_KEY_PASSWORD": "ssl_password",
        }
        return {names[name]: value for name, value in self.variables(mechanism).items()}
