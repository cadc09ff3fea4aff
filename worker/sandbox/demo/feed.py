"""Writes the sample traffic to the topic, in its own time and on a thread of its own."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from worker.sandbox.demo.errors import DemoError
from worker.sandbox.traffic import Sample

_ACKNOWLEDGED_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Produced:
    """A record of the topic. `at`: when it was written, UNIX seconds."""

    value: bytes | None
    partition: int
    offset: int
    at: float


class Feed:
    """Context manager: writes from when it is entered until all is written or it is left. Leaving takes a second at
    most. The constructor connects, and raises KafkaError.
    """

    def __init__(self, bootstrap: str, topic: str, samples: Iterable[Sample]) -> None:
        self._topic, self._samples = topic, samples
        self._producer: Any = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
        self._written: list[tuple[bytes | None, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="feed", daemon=True)
        self._error: Exception | None = None

    @property
    def written(self) -> int:
        return len(self._written)

    @property
    def finished(self) -> bool:
        """Everything is written. Raises DemoError if it can't be."""
        if self._error is not None:
            raise DemoError(f"the sample traffic can't be written: {self._error}")
        return not self._thread.is_alive()

    def produced(self) -> list[Produced]:
        """What was written, ordered by partition and offset. Blocks until it is acknowledged; raises DemoError."""
        try:
            answers = [(value, future.get(timeout=_ACKNOWLEDGED_WITHIN)) for value, future in self._written]
        except KafkaError as error:
            raise DemoError(f"the sample traffic can't be written: {error}") from error
        produced = [Produced(value, at.partition, at.offset, at.timestamp / 1000) for value, at in answers]
        return sorted(produced, key=lambda record: (record.partition, record.offset))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.close(timeout=1)

    def _write(self) -> None:
        due = time.monotonic()
        try:
            for delay, key, value in self._samples:
                due += delay
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                self._written.append((value, self._producer.send(self._topic, key=key, value=value)))
            self._producer.flush(_ACKNOWLEDGED_WITHIN)
        except KafkaError as error:
            self._error = error
