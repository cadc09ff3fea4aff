"""Rules between two variables, on the raw values: they are told even if the rest of the configuration is wrong."""

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import TypeAdapter

from worker.settings.fields import Names, Servers, TopicPairs
from worker.settings.model import FIELDS
from worker.settings.variables import Values


def contradictions(values: Values, ignored: Collection[str]) -> Iterator[tuple[str, str]]:
    """The variable to correct, and the sentence that names it. A rule about an `ignored` variable is not applied."""
    for rule, *names in (
        (_protocols, "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL"),
        (_drain, "WORKER_DRAIN_TIMEOUT_SECONDS", "OPTICO_TIMEOUT_SECONDS"),
        (_prefixes, "WORKER_ID_PREFIXES", "KAFKA_TOPICS"),
    ):
        if not set(names) & set(ignored):
            for problem in rule(*(values.found.get(name, FIELDS[name].default) for name in names)):
                yield names[0], f"{names[0]}: {problem}"


def _protocols(servers: Any, protocol: Any) -> Iterator[str]:
    """The client ignores the protocol of an address: what was meant to be encrypted would travel in clear."""
    spoken = str(protocol).strip().upper()
    for number, server in enumerate(TypeAdapter(Servers).validate_python(servers), start=1):
        named, written, _ = server.partition("://")
        if written and named != spoken:
            change = f"set KAFKA_SECURITY_PROTOCOL to it, which is {spoken}, or correct the entry"
            yield f"entry {number} names {named}; {change}"


def _drain(drain: Any, timeout: Any) -> Iterator[str]:
    number = TypeAdapter(float).validate_python
    if number(drain) <= number(timeout):
        yield "must be longer than OPTICO_TIMEOUT_SECONDS, so that a request can end; raise the one or lower the other"


def _prefixes(prefixes: Any, topics: Any) -> Iterator[str]:
    """A topic that is not read is a misspelt one: the ids of the right one would lack their prefix."""
    known = TypeAdapter(Names).validate_python(topics)
    for topic in sorted(set(TypeAdapter(TopicPairs).validate_python(prefixes)) - set(known)):
        yield f"names {topic}, which is not one of KAFKA_TOPICS; correct the one or the other"
