"""The dead-letter topic. Rules: the event contract's section on dead letters."""

import socket
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from worker.adapters.kafka.connection import connect
from worker.core.letters import Letter
from worker.ports import Content, FatalError, UnavailableError
from worker.settings import Kafka

log = structlog.get_logger(__name__)

PREFIX = "dlq."
#: A longer id is cut (characters).
LONGEST_ID = 1000
#: The producer's patience for metadata and for an acknowledgement (s).
_METADATA_WITHIN = 5.0
_ACKNOWLEDGED_WITHIN = 15.0
#: The producer's own limit: high, so that the broker decides what is too large.
_LARGEST = 256 * 1024 * 1024
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class Part(IntEnum):
    """How much of the original a letter has, from all of it to what every topic takes."""

    ALL = 0
    NO_VALUE = 1
    NO_HEADERS = 2
    NO_KEY = 3


class DeadLetterTopic:
    """See `worker.ports.DeadLetters`. Connects at the first letter, and anew after a failure.

    `mask` takes the secrets out of what a letter says: the API may repeat the key that it was sent.
    """

    def __init__(self, settings: Kafka, topic: str, mask: Callable[[str], str]) -> None:
        self._settings = settings
        self._topic = topic
        self._mask = mask
        self._worker = socket.gethostname()
        self._producer: Any = None

    def write(self, letters: Sequence[Letter]) -> list[Letter]:
        try:
            producer = self._connected()
            sent = [(letter, self._send(producer, letter, Part.ALL)) for letter in letters]
            # One letter that is too large fails its whole batch: those are sent again one by one.
            return [letter for letter, future in sent if _acknowledged(future) or self._write_alone(producer, letter)]
        except (KafkaError, UnavailableError, FatalError) as error:
            # An authentication failure sticks to the client's node: only a new client tries again.
            self.close()
            raise UnavailableError(f"topic {self._topic}: {error}") from error

    def _write_alone(self, producer: Any, letter: Letter) -> bool:
        """As much of it as the broker takes. What is left out is found by the letter's coordinates."""
        for part in Part:
            if _acknowledged(self._send(producer, letter, part)):
                return True
        raise UnavailableError(f"not even an empty letter is small enough for topic {self._topic}")

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(timeout=1)
            except KafkaError as error:
                log.debug("the producer of dead letters was not closed in good order", error=str(error))

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = connect(
                KafkaProducer,
                self._settings,
                acks="all",
                # An idempotent producer is dead after one refusal; letters are at least once anyway.
                enable_idempotence=False,
                max_block_ms=int(_METADATA_WITHIN * 1000),
                request_timeout_ms=5_000,
                delivery_timeout_ms=int(_ACKNOWLEDGED_WITHIN * 1000) - 1_000,
                bootstrap_timeout_ms=int(_METADATA_WITHIN * 1000),
                max_request_size=_LARGEST,
                allow_auto_create_topics=False,
            )
        return self._producer

    def _send(self, producer: Any, letter: Letter, part: Part) -> Any:
        content: Content = letter.event.payload
        headers = self._headers(letter, content if part <= Part.NO_VALUE else None)
        if part > Part.ALL:
            headers.append((PREFIX + "truncated", b"1"))
        value = content.value or b"" if part is Part.ALL else b""
        return producer.send(self._topic, key=content.key if part < Part.NO_KEY else None, value=value, headers=headers)

    def _headers(self, letter: Letter, keep_own_of: Content | None) -> list[tuple[str, bytes]]:
        topic, partition, offset = letter.event.coordinates
        content: Content = letter.event.payload
        own = [(name, value or b"") for name, value in content.headers]  # the client refuses null values
        said = {
            "reason": letter.reason,
            "message": self._mask(letter.message),
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "timestamp": content.timestamp,
            "entity": letter.kind,
            "id": (letter.id or "")[:LONGEST_ID],
            "attempts": letter.attempts,
            "failed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "worker": self._worker,
        }
        said |= _inherited(letter)
        headers = [(PREFIX + name, str(value).encode(errors="backslashreplace")) for name, value in said.items()]
        if keep_own_of is not None:
            headers += [(name, value) for name, value in own if not name.startswith(PREFIX)]
        return headers


def _inherited(letter: Letter) -> dict[str, object]:
    """The link to a call that the event has from records which it replaced."""
    event = letter.event
    if event.link is None:
        return {}
    said = zip(("call_id", "agent"), event.link, strict=True)
    return {name: one.text for name, one in said if one is not None and one.offset != event.offset}


def _acknowledged(future: Any) -> bool:
    """Waits for it. False: refused as too large. Raises KafkaError for anything else."""
    try:
        future.get(timeout=_ACKNOWLEDGED_WITHIN)
    except _TOO_LARGE:
        return False
    return True
