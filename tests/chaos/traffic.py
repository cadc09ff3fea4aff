"""Seeded traffic: carts and orders that change, and among them records that are none."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kafka import KafkaProducer

from tests.brokers.tools import Record
from tests.integration.events import VISIT, cart, order

Fate = Literal["deliverable", "skipped", "emptied", "invalid", "refused"]
#: The sandbox refuses this visit: events with it are rejected by the API.
UNKNOWN_VISIT = "0000000000000000000000ff"
DELIVERED_WITHIN = 120.0


@dataclass(frozen=True)
class Mix:
    """Entities, and how many records in a hundred are something else than a deliverable event."""

    entities: int = 60
    invalid: int = 3
    skipped: int = 3
    refused: int = 2


@dataclass(frozen=True)
class Written:
    """A record of ours: what it is of, which state, what must become of it, and where it is."""

    entity: str
    version: int
    fate: Fate
    topic: str
    partition: int
    offset: int
    timestamp: float  # UNIX seconds

    @property
    def coordinates(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


def understood(topic: str, record: Record) -> Written:
    """What a record that was read says of itself."""
    said = {name: value.decode() for name, value in record.headers}
    assert record.partition is not None
    assert record.offset is not None
    at = (record.timestamp or 0) / 1000
    fate: Any = said["fate"]
    return Written(said["entity"], int(said["version"]), fate, topic, record.partition, record.offset, at)


def events(draw: random.Random, mix: Mix) -> Iterator[Record]:
    """Endless; versions only grow, whatever the entity."""
    version = 0
    while True:
        version += 1
        number = draw.randrange(mix.entities)
        make = order if number % 4 == 0 else cart
        kind = "order" if make is order else "cart"
        dice = draw.randrange(100)
        if dice < mix.invalid:
            record, fate = _broken(draw, f"{kind}:{number}"), "invalid"
        elif dice < mix.invalid + mix.skipped:
            record, fate = _nothing(draw, number)
        elif dice < mix.invalid + mix.skipped + mix.refused:
            record, fate = cart(f"refused-{number % 3}", version, visit_id=UNKNOWN_VISIT), "refused"
        else:
            record, fate = make(str(number), version), "deliverable"
        assert record.key is not None
        headers = (("entity", record.key), ("version", b"%d" % version), ("fate", fate.encode()))
        yield Record(record.key, record.value, headers)


def _broken(draw: random.Random, key: str) -> Record:
    values = [b"{oops", b"[]", b'{"type":"cart","visit_id":"v"}', b"\xff\xfe", cart("1", products="no").value]
    value = draw.choice(values)
    return Record(key.encode(), value)


def _nothing(draw: random.Random, number: int) -> tuple[Record, Fate]:
    empty = cart(str(number), products=[])
    choices: list[tuple[Record, Fate]] = [(Record(empty.key, None), "skipped"), (empty, "emptied")]
    return draw.choice(choices)


class Traffic:
    """Writes events from a thread of its own until `stop`, at some `rate` a second, in bursts."""

    def __init__(self, bootstrap: str, topic: str, seed: str, mix: Mix, rate: float = 150.0) -> None:
        self._draw = random.Random(seed)
        self._events = events(self._draw, mix)
        self._bootstrap, self._topic, self._rate = bootstrap, topic, rate
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._answers: list[Any] = []
        self.failure: Exception | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when all that was written is acknowledged."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(DELIVERED_WITHIN)
            self._thread = None
        self._flush()

    def write(self, count: int, **only: str) -> None:
        """So many events at once. Not while the thread runs. `fate`: only such."""
        for _ in range(count):
            self._send(self._next(**only))
        self._flush()

    @property
    def count(self) -> int:
        return len(self._answers)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(DELIVERED_WITHIN)
        if self._producer is not None:
            self._producer.close(5)
            self._producer = None

    def _next(self, fate: str | None = None) -> Record:
        return next(r for r in self._events if fate is None or dict(r.headers)["fate"] == fate.encode())

    def _send(self, record: Record) -> None:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                delivery_timeout_ms=int(DELIVERED_WITHIN * 1000),
                request_timeout_ms=5_000,
                max_block_ms=int(DELIVERED_WITHIN * 1000),
                max_in_flight_requests_per_connection=1,
                metadata_max_age_ms=1_000,
            )
        self._answers.append(
            self._producer.send(self._topic, key=record.key, value=record.value, headers=list(record.headers))
        )

    def _flush(self) -> None:
        for answer in self._answers:
            answer.get(DELIVERED_WITHIN)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                burst = self._draw.randrange(1, 20)
                for _ in range(burst):
                    self._send(self._next())
                self._stop.wait(burst / self._rate)
        except Exception as error:  # noqa: BLE001 - told by the next stop
            self.failure = error


def stop_at(traffic: Traffic, count: int, within: float = 60.0) -> None:
    """Waits until so many events were written altogether."""
    deadline = time.monotonic() + within
    while traffic.count < count and traffic.failure is None:
        assert time.monotonic() < deadline, f"{traffic.count} of {count} events after {within:g} s"
        time.sleep(0.02)


__all__ = ["UNKNOWN_VISIT", "VISIT", "Fate", "Mix", "Traffic", "Written", "events", "stop_at", "understood"]
