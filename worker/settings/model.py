"""Every variable: its default, what is allowed, what it does (section by section, as the documentation has them)."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from worker.settings.fields import (
    INT32,
    MEMBER,
    TOPIC,
    Authorities,
    BaseUrl,
    Currency,
    Key,
    Lower,
    Name,
    Names,
    Pairs,
    Password,
    ReadableFile,
    Servers,
    Text,
    Texts,
    TopicPairs,
    Upper,
    variable,
)

Value = TypeVar("Value")
HOUR_MS = 3_600_000
#: Of a request (s). A rebalance waits for those in flight, and a poll loop that stands for a minute is a failure.
LONGEST_TIMEOUT = 45


class Group(BaseModel):
    """Variables with one prefix. Rules between two of them look at `info.data`: it lacks what is itself in error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True, hide_input_in_errors=True
    )


class Kafka(Group):
    """Where the events come from."""

    bootstrap_servers: Servers = variable(
        ...,
        "Brokers to start from. A protocol in an address must be that of `KAFKA_SECURITY_PROTOCOL`.",
        allowed="host:port or PROTOCOL://host:port, comma-separated",
        shown=False,
    )
    topics: Names = variable(..., "Topics to read.", allowed=f"{TOPIC}; several: comma-separated")
    group_id: Text = variable("optico-worker", "Consumer group. Its committed offsets say where reading goes on.")
    group_instance_id: Name | None = variable(
        None,
        "Static membership: a name of this member alone, which lets it restart without a rebalance.",
        allowed=MEMBER,
    )
    client_id: Text = variable("optico-worker", "Name of this client in the brokers' logs and quotas.")
    client_rack: Text | None = variable(None, "Rack or zone of this client: reads from the nearest replica.")
    assignor: Annotated[Literal["cooperative-sticky", "range"], Lower] = variable(
        "cooperative-sticky", "How the group shares partitions; the same for all its members."
    )
    auto_offset_reset: Annotated[Literal["earliest", "latest"], Lower] = variable(
        "earliest", "Where to start if the group has no committed offset: `latest` skips what is there already."
    )
    session_timeout_ms: int = variable(20_000, "A crashed worker's partitions move after this long.", ge=1000, le=INT32)
    security_protocol: Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Upper] = variable(
        "PLAINTEXT", "Encryption and authentication between worker and brokers."
    )
    sasl_mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, Upper] = variable(
        None, "Required with `SASL_PLAINTEXT` and `SASL_SSL`."
    )
    sasl_username: str | None = variable(None, "Required with SASL.", shown=False)
    sasl_password: Password | None = variable(None, "Required with SASL.", secret=True)
    ssl_cafile: Authorities | None = variable(
        None,
        "Certificates (PEM) that sign the brokers'; unset: the system's.",
        allowed="a readable file",
    )
    ssl_certfile: ReadableFile | None = variable(
        None, "The worker's own certificate (PEM), if the brokers ask for one.", allowed="a readable file"
    )
    ssl_keyfile: ReadableFile | None = variable(
        None, "The private key (PEM) of that certificate.", allowed="a readable file"
    )
    ssl_key_password: Password | None = variable(None, "Password of the private key, if it has one.", secret=True)
    dlq_topic: Name | None = variable(
        None, "Dead-letter topic. Unset: rejected events are logged and counted only.", allowed=TOPIC
    )

    @field_validator("sasl_mechanism")
    @classmethod
    def _protocol_needs_mechanism(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and _sasl(info):
            raise ValueError("is required with a SASL protocol; set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
        return value

    @field_validator("sasl_username", "sasl_password")
    @classmethod
    def _mechanism_needs_credentials(cls, value: Value, info: ValidationInfo) -> Value:
        if value is None and (_sasl(info) or info.data.get("sasl_mechanism") is not None):
            raise ValueError("is required with SASL; set it to what the brokers know this worker by")
        return value

    @field_validator("ssl_keyfile")
    @classmethod
    def _certificate_needs_key(cls, value: str | None, info: ValidationInfo) -> str | None:
        certificate = info.data.get("ssl_certfile", value)
        if value is None and certificate is not None:
            raise ValueError("is required with KAFKA_SSL_CERTFILE; set it to that certificate's private key")
        if value is not None and certificate is None:
            raise ValueError("is set without KAFKA_SSL_CERTFILE; set both or neither")
        return value

    @field_validator("dlq_topic")
    @classmethod
    def _no_loop(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value in info.data.get("topics", ()):
            raise ValueError("is one of KAFKA_TOPICS, so its dead letters would be read again; set another topic")
        return value


def _sasl(info: ValidationInfo) -> bool:
    return str(info.data.get("security_protocol", "")).startswith("SASL")


class Optico(Group):
    """Where they go: the Cart API."""

    url: BaseUrl = variable(
        "https://www.optico.fr",
        "The API's address, without `/api/...`.",
        allowed="an http or https address without user, query and fragment",
        shown=False,
    )
    api_key: Key = variable(
        ...,
        "The key from your Optico account under Manage APIs. As a file: read again when the API refuses it.",
        allowed="the key alone",
        secret=True,
    )
    timeout_seconds: FiniteFloat = variable(
        5, "Deadline of a request, from connecting to the last byte.", gt=0, le=LONGEST_TIMEOUT
    )
    max_concurrency: int = variable(32, "Requests in flight, at most.", ge=1, le=1024)
    max_requests_per_second: FiniteFloat = variable(
        200,
        "For the whole group: a worker takes the share of the partitions that it holds. 0: no limit.",
        ge=0,
        le=1_000_000,
    )
    ca_file: Authorities | None = variable(
        None,
        "Certificates (PEM) that sign the API's; unset: the system's.",
        allowed="a readable file",
    )
    max_connection_age_seconds: FiniteFloat = variable(
        300,
        "A connection is replaced at this age, so that changes of DNS and load balancers take effect.",
        gt=0,
        le=86_400,
    )
    max_fields: int = variable(
        1000,
        "Fields of a form; a longer one is cut visibly. PHP's default `max_input_vars`. 0: no limit.",
        ge=0,
        le=INT32,
    )
    max_body_bytes: int = variable(
        1_000_000,
        "Bytes of a form; a longer one is cut visibly. nginx' default `client_max_body_size`. 0: no limit.",
        ge=0,
        le=INT32,
    )


class Worker(Group):
    """How they are collapsed and kept, and what is said about it."""

    collapse_window_ms: int = variable(
        500, "An entity's events are collapsed for this long before the newest is sent.", ge=0, le=HOUR_MS
    )
    call_collapse_window_ms: int = variable(
        100,
        "The same while its customer is on a call; never longer than `WORKER_COLLAPSE_WINDOW_MS`.",
        ge=0,
        le=HOUR_MS,
    )
    max_pending: int = variable(50_000, "Entities with anything unsettled; reading pauses there.", ge=1, le=INT32)
    max_pending_bytes: int = variable(67_108_864, "Bytes that wait; reading pauses there.", ge=1, le=2**40)
    max_attempts: int = variable(
        50,
        "Attempts that count until an event becomes a dead letter; without `KAFKA_DLQ_TOPIC` it is retried on.",
        ge=1,
        le=INT32,
    )
    rejection_limit: int = variable(
        20,
        "Rejected requests of a kind in a row, from at least five entities, that open the circuit breaker. 0: never.",
        ge=0,
        le=INT32,
    )
    drain_timeout_seconds: FiniteFloat = variable(
        25, "How long a stopping worker finishes its work; longer than `OPTICO_TIMEOUT_SECONDS`.", gt=0, le=86_400
    )
    default_currency: Currency | None = variable(
        None, "For events without a currency.", allowed="three letters A-Z, such as EUR"
    )
    default_order_status: Text | None = variable(None, "For CS-Cart orders without a status.")
    order_status_map: Pairs = variable(
        "",
        "Statuses of orders, with the words for the API: `P=Processed,C=Completed`. Others are sent unchanged.",
        allowed="status=status, comma-separated",
    )
    emptied_cart_name: Text | None = variable(
        None, "An emptied cart is sent with one line of this name, quantity 0. Unset: emptied carts are not sent."
    )
    cs_cart_id_fields: Texts = variable(
        "user_id",
        "Fields of a CS-Cart cart whose values, joined by `-`, are its id where the event has no `id`.",
        allowed="names of fields, comma-separated",
    )
    id_prefixes: TopicPairs = variable(
        "",
        "Prefixes of the ids by topic, for several shops with one API key: `shop-fr.carts=fr-,shop-de.carts=de-`.",
        allowed="topic=prefix, comma-separated; each topic is one of `KAFKA_TOPICS`",
    )
    http_host: Text = variable(
        "::",
        "Where `/metrics`, `/healthz` and `/readyz` listen. `::`: IPv6 and IPv4; `0.0.0.0` where there is no IPv6.",
    )
    http_port: int = variable(9464, "Their port. 0: any free one, printed in the log.", ge=0, le=65_535)
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = variable(
        "info", "Least severity that is logged."
    )
    log_format: Annotated[Literal["json", "console"], Lower] = variable(
        "json", "A JSON object a line, or text for people."
    )


GROUPS: Mapping[str, type[Group]] = {"kafka": Kafka, "optico": Optico, "worker": Worker}
#: Every variable by its name, in the documentation's order.
FIELDS: Mapping[str, FieldInfo] = {
    f"{group}_{name}".upper(): field for group, model in GROUPS.items() for name, field in model.model_fields.items()
}
