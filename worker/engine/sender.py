"""Senders: each takes an event that is due, makes the request, and settles what came of it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from worker.core.gate import Change, Shut
from worker.core.lane import Delivery
from worker.core.outcome import Outcome, Result
from worker.core.rules import Settled
from worker.engine.desk import Desk
from worker.formats import Form, ReadConfig, encode
from worker.ports import Api, Measure, Warn

log = structlog.get_logger(__name__)

#: From so many counted attempts on an event that keeps failing is named, some minutes after the first.
FAILS_OFTEN = 10


Encode = Callable[[Delivery, str], Form]


class Key(Protocol):
    """The API key. `reload` reads it again where it comes from a file (True: it changed); `problem`: why it can't."""

    @property
    def value(self) -> str: ...
    @property
    def problem(self) -> str | None: ...
    def reload(self) -> bool: ...


@dataclass(slots=True)
class Sender:
    desk: Desk
    api: Api
    key: Key
    encode: Encode
    measure: Measure
    warn: Warn

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
            log.exception("an event was taken in and can't be encoded: a bug", **_where(delivery))
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
            self.measure.delivered(delivery.entity.kind, max(0.0, time.time() - delivery.event.occurred_at))
        if settled.gate is not None:
            _report_gate(settled.gate, outcome)
        if settled.stale:
            return
        if outcome.result is Result.REJECTED:
            self.warn(
                "the API rejected an event; it is not sent again" if outcome.asked else "an event can't be sent",
                per=outcome.reason,
                reason=outcome.reason,
                message=_without_values(outcome.message),
                **_where(delivery),
            )
        elif settled.exhausted or settled.attempts >= FAILS_OFTEN:
            self.warn(
                f"an event keeps failing: {_sequel(settled)}",
                per="exhausted" if settled.exhausted else "failing",
                attempts=settled.attempts,
                reason=outcome.reason,
                message=outcome.message,
                **_where(delivery),
            )
        elif outcome.result is not Result.DELIVERED:
            log.debug("a request failed", reason=outcome.reason, retry_in=settled.retry_in, **_where(delivery))


def encoder(config: ReadConfig) -> Encode:
    """What makes the request of a delivery, given the key. Ids get the prefix of the record's topic."""

    def of(delivery: Delivery, key: str) -> Form:
        topic = delivery.event.owner.partition.topic
        return encode(delivery.event.payload.value, config.for_topic(topic), key)

    return of


def _sequel(settled: Settled) -> str:
    if settled.retry_in is None:
        return "it becomes a dead letter"
    held_up = "it is tried on, and holds up its partition's commits"
    return f"{held_up}; set KAFKA_DLQ_TOPIC to have such events put aside" if settled.exhausted else held_up


def _without_values(message: str) -> str:
    """The API's own words, in case it repeats what it was sent: no addresses, no numbers of a length that names."""
    return re.sub(r"\S+@\S+|\d[\d .+()-]{4,}\d", "…", message)


def _where(delivery: Delivery) -> dict[str, Any]:
    """Where the record can be looked up. The entity's id is not said: for some shops it names a person."""
    topic, partition, offset = delivery.event.coordinates
    return {"topic": topic, "partition": partition, "offset": offset, "entity": delivery.entity.kind}


def _report_gate(change: Change, outcome: Outcome) -> None:
    if change.shut is None:
        log.info("sending goes on: the API answers again", after_seconds=round(change.after, 1))
    elif change.shut is Shut.INVALID_API_KEY:
        log.error("sending is paused: the API refuses the key; the key file is read again before each probe")
    else:
        log.error(
            "sending is paused: the API is out of order; probing until it answers",
            reason=outcome.reason,
            message=outcome.message,
        )
