"""What the log says of requests: what became of each at debug, what a person should know at once at warning."""

import errno
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any, Final

import structlog

from worker.core.circuit_breaker import Change, TripReason
from worker.core.delivery_config import SettleResult
from worker.core.outcome import Outcome, Result
from worker.core.state import Attempt
from worker.ports import Warn

log = structlog.get_logger(__name__)
_level = logging.getLogger(__name__)

#: From so many counted attempts on an event that keeps failing is named, some minutes after the first.
FAILS_OFTEN: Final = 10
#: A shop is quiet where nothing was answered for so long (s): then the first failure is said.
QUIET: Final = 60.0
#: What the system says where this process may open no more sockets.
_NO_DESCRIPTORS: Final = os.strerror(errno.EMFILE)


@dataclass(slots=True)
class Reporter:
    """`clock` is monotonic, `wall` in UNIX seconds. `key_file`: the API key is read from a file, and read again.

    Thread-safe: at worst two threads say the same.
    """

    warn: Warn
    clock: Callable[[], float]
    wall: Callable[[], float]
    key_file: bool = False
    dead_letters: bool = False
    _answered_at: float = float("-inf")
    _told: bool = False

    def request(self, attempt: Attempt, outcome: Outcome, settled: SettleResult) -> None:
        """Says what there is to say of one request."""
        for change in settled.changes:
            self._change(change, outcome)
        if _level.isEnabledFor(logging.DEBUG):
            sequel = {"retry_in": settled.retry_in} if settled.retry_in is not None else {}
            became = _became(outcome, settled)
            log.debug(became, reason=outcome.reason, message=_words(outcome), **sequel, **where(attempt))
        if outcome.result is Result.DELIVERED:
            self._answered_at, self._told = self.clock(), False
        elif not settled.stale:
            self._not_delivered(attempt, outcome, settled)

    def _not_delivered(self, attempt: Attempt, outcome: Outcome, settled: SettleResult) -> None:
        if outcome.result is Result.REJECTED:
            self._answered_at, self._told = self.clock(), False
            if settled.retry_in is None:
                self._rejected(attempt, outcome)
        elif settled.exhausted or settled.attempts >= FAILS_OFTEN:
            self.warn(
                f"an event keeps failing: {_sequel(settled)}",
                per="exhausted" if settled.exhausted else "failing",
                attempts=settled.attempts,
                reason=outcome.reason,
                message=outcome.message,
                **where(attempt),
            )
        elif not self._told and self.clock() - self._answered_at >= QUIET:
            self._told = True
            self.warn(
                "a request failed, and none was answered in the last minute; it is tried again",
                per="first failure",
                reason=outcome.reason,
                message=outcome.message,
                retry_in=settled.retry_in,
                **where(attempt),
            )

    def _rejected(self, attempt: Attempt, outcome: Outcome) -> None:
        self.warn(
            "the API rejected an event; it is not sent again" if outcome.asked else "an event can't be sent",
            per=outcome.reason,
            reason=outcome.reason,
            message=_words(outcome),
            **where(attempt),
        )

    def _change(self, change: Change, outcome: Outcome) -> None:
        about = {"entity": ", ".join(change.kinds), "breaker": str(change.reason)}
        if change.opened:
            log.error(self._heading(change, outcome), reason=outcome.reason, message=_words(outcome), **about)
            return
        after = round(change.after, 1)
        if not change.rejected:
            log.info("sending resumed", after_seconds=after, **about)
            return
        redrive = self._redrive(change) if self.dead_letters else "no KAFKA_DLQ_TOPIC is set; replay their time instead"
        log.warning(
            "sending resumed; events were rejected before it was paused",
            rejected=change.rejected,
            redrive=redrive,
            after_seconds=after,
            **about,
        )

    def _heading(self, change: Change, outcome: Outcome) -> str:
        match change.reason:
            case TripReason.INVALID_API_KEY if self.key_file:
                return "sending is paused: the API refuses the key; the key file is read again before each probe"
            case TripReason.INVALID_API_KEY:
                return "sending is paused: the API refuses the key; set OPTICO_API_KEY to a valid one and restart"
            case TripReason.REJECTIONS:
                return (
                    "sending is paused: the API rejects everything; ask Optico why, nothing more is given up meanwhile"
                )
        if _NO_DESCRIPTORS in outcome.message:
            return "sending is paused: this process may open no more files and sockets; raise its limit (ulimit -n)"
        return "sending is paused: requests keep failing; probing until one is answered"

    def _redrive(self, change: Change) -> str:
        """The command that delivers what was rejected before the breaker opened."""
        now, wall = self.clock(), self.wall()
        since, until = floor(wall - (now - change.began)), ceil(wall) + 1
        options = [f"--entity {kind}" for kind in change.kinds] + [f"--reason {reason}" for reason in change.reasons]
        return " ".join(
            ["optico-worker dlq redrive", *options, f"--since {_iso(since)}", f"--until {_iso(until)}", "--execute"]
        )


def where(attempt: Attempt) -> dict[str, Any]:
    """Where the record can be looked up. The entity's id is not said: for some shops it names a person."""
    topic, partition, offset = attempt.event.coordinates
    return {"topic": topic, "partition": partition, "offset": offset, "entity": attempt.entity.kind}


def _became(outcome: Outcome, settled: SettleResult) -> str:
    rules: Sequence[tuple[bool, str]] = (
        (settled.stale, "event left to the next owner of its partition"),
        (outcome.result is Result.DELIVERED, "event delivered" if settled.first else "event confirmed"),
        (settled.retry_in is not None, "event to be tried again"),
        (settled.collapsed, "event dropped: its cart was emptied"),
        (settled.exhausted, "event given up"),
    )
    return next((words for holds, words in rules if holds), "event rejected")


def _sequel(settled: SettleResult) -> str:
    if settled.retry_in is None:
        return "it becomes a dead letter"
    held_up = "it is tried on, and holds up its partition's commits"
    return f"{held_up}; set KAFKA_DLQ_TOPIC to have such events put aside" if settled.exhausted else held_up


def _words(outcome: Outcome) -> str:
    """The API's own words, in case it repeats what it was sent: no addresses, no numbers of a length that names."""
    return re.sub(r"\S+@\S+|\d[\d .+()-]{4,}\d", "…", outcome.message)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
