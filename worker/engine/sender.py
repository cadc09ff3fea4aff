"""Senders: each takes an event that is due, makes the request, and settles what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from worker.core.lane import Delivery
from worker.core.outcome import Outcome, Result
from worker.core.rules import Settled
from worker.engine.desk import Desk
from worker.engine.reporting import Reporter, where
from worker.formats import Form, ReadConfig, encode
from worker.ports import Api, Measure, Warn

log = structlog.get_logger(__name__)


Encode = Callable[[Delivery, str], Form]


class Key(Protocol):
    """The API key. `reload` reads it again where it comes from a file (True: it changed); `problem`: why it can't.

    `path`: that file; None: the key is a variable.
    """

    @property
    def value(self) -> str: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def path(self) -> Path | None: ...
    def reload(self) -> bool: ...


@dataclass(slots=True)
class Sender:
    """`dead_letters`: rejected events are written to a topic, so they can be redriven."""

    desk: Desk
    api: Api
    key: Key
    encode: Encode
    measure: Measure
    warn: Warn
    dead_letters: bool = False
    _reporter: Reporter = field(init=False)

    def __post_init__(self) -> None:
        key_file = self.key.path is not None
        self._reporter = Reporter(self.warn, self.desk.clock, lambda: time.time(), key_file, self.dead_letters)  # noqa: PLW0108 - the state machine replaces `time`

    def run(self) -> None:
        """Sends until the desk is closed. Blocks at the desk, and for the deadline of a request."""
        while (delivery := self.desk.take()) is not None:
            started = time.monotonic()
            outcome = self._send(delivery)
            if outcome.asked:
                self.measure.request(delivery.entity.kind, time.monotonic() - started)
            settled = self.desk.settle(delivery, outcome)
            self._report(delivery, outcome, settled)

    def _send(self, delivery: Delivery) -> Outcome:
        if delivery.probe:
            self._reload_key()
        try:
            form = self.encode(delivery, self.key.value)
        except MemoryError:
            raise  # not the event's fault: the process ends, and whoever starts next reads the event again
        except Exception as error:
            log.exception("an event was taken in and can't be encoded: a bug", **where(delivery))
            message = f"can't be encoded: {type(error).__name__}"
            return Outcome(Result.REJECTED, "invalid_event", message, asked=False)
        return self.api.post(form.path, form.body)

    def _reload_key(self) -> None:
        if self.key.reload():
            log.info("the API key file has changed; trying the new key")
        elif self.key.problem is not None:
            self.warn(
                "the API key file can't be used; the key stays as it was", per="key_file", problem=self.key.problem
            )

    def _report(self, delivery: Delivery, outcome: Outcome, settled: Settled) -> None:
        if settled.first:
            seconds = max(0.0, time.time() - delivery.event.occurred_at)
            self.measure.delivered(delivery.entity.kind, seconds)
            if delivery.on_call:
                self.measure.call_delivered(delivery.entity.kind, seconds)
        self._reporter.request(delivery, outcome, settled)


def encoder(config: ReadConfig) -> Encode:
    """What makes the request of a delivery, given the key. Ids get the prefix of the record's topic."""

    def of(delivery: Delivery, key: str) -> Form:
        event = delivery.event
        link = None if event.link is None else event.link.texts
        return encode(event.payload.value, config.for_topic(event.owner.partition.topic), key, link)

    return of
