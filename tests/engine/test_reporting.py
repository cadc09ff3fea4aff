"""What the log says of requests and of circuit breakers: once, under the right heading, with the way out."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from tests.core.support import KEY_REFUSED, SERVER_ERROR, TIMED_OUT, TOO_MANY, A, B, Box, C, D, E, box
from worker.core.circuit_breaker import TripReason
from worker.core.event import Entity
from worker.core.outcome import DELIVERED, Outcome, Result, connection_failed
from worker.engine.reporting import QUIET, Reporter

SUSPENDED = Outcome(Result.REJECTED, "other_error", "Account suspended")
TLS = connection_failed("the certificate can't be verified: unable to get local issuer certificate", written=False)
NO_FILES = connection_failed("Too many open files", written=False)


@dataclass
class Said:
    """An delivery queue, and all that is said of what happens to its requests."""

    key_file: bool = False
    dead_letters: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)
    made: Box = field(default_factory=box)

    def __post_init__(self) -> None:
        self.reporter = Reporter(
            self._warn, lambda: self.made.now, lambda: 1_764_000_000.0 + self.made.now, self.key_file, self.dead_letters
        )

    def _warn(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, "log_level": "warning", **fields})

    def next(self, outcome: Outcome) -> Entity:
        """The next request, whosever it is, ends so."""
        attempt = self.made.next()
        settled = self.made.settle(attempt, outcome)
        with capture_logs() as lines:
            self.reporter.request(attempt, outcome, settled)
        self.lines += [dict(line) for line in lines]
        return attempt.entity

    def send(self, entity: Entity, outcome: Outcome) -> None:
        self.made.add(entity)
        while self.next(outcome) != entity:
            pass

    def until_open(self, outcome: Outcome) -> dict[str, Any]:
        """What is said when the carts' breaker opens."""
        number = 0
        while self.made.tripped is None:
            number += 1
            self.send((A, B, C, D, E)[number % 5], outcome)
        return next(line for line in self.lines if line["log_level"] == "error")

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def at_debug() -> Iterator[None]:
    logger = logging.getLogger("worker.engine.reporting")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    structlog.reset_defaults()
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("outcome", [TLS, SERVER_ERROR, TIMED_OUT, KEY_REFUSED, TOO_MANY])
def test_whatever_makes_the_first_request_of_a_quiet_shop_fail_is_said_once(outcome: Outcome) -> None:
    said = Said()
    said.send(A, outcome)
    said.next(outcome)
    (line,) = [line for line in said.lines if line["log_level"] == "warning"]
    assert line["event"].startswith("a request failed")
    assert (line["reason"], line["message"], line["offset"]) == (outcome.reason, outcome.message, 0)


def test_it_is_said_again_after_an_answer_and_another_quiet_time() -> None:
    said = Said()
    said.send(A, TLS)
    said.next(DELIVERED)
    said.send(B, TLS)
    assert len(said.lines) == 1, "a failure among answers is nothing to be told of"
    said.next(DELIVERED)
    said.made.pass_time(QUIET)
    said.send(C, TLS)
    assert len(said.lines) == 2


def test_a_process_without_file_descriptors_blames_itself_and_not_the_api() -> None:
    heading = Said().until_open(NO_FILES)["event"]
    assert "this process may open no more files" in heading
    assert "API" not in heading


def test_429_is_never_headed_as_an_outage() -> None:
    said = Said()
    for entity in (A, B, C, D, E) * 4:
        said.send(entity, TOO_MANY)
    assert not any("paused" in event for event in said.events())


def test_an_outage_says_which_kind_why_and_when_it_is_over() -> None:
    said = Said()
    line = said.until_open(SERVER_ERROR)
    assert (line["entity"], line["breaker"], line["message"]) == ("cart", "outage", "HTTP 503")
    said.next(DELIVERED)
    assert "sending resumed" in said.events()


@pytest.mark.parametrize(
    ("key_file", "remedy"), [(True, "the key file is read again"), (False, "set OPTICO_API_KEY to a valid one")]
)
def test_the_key_file_is_read_again_is_said_only_where_there_is_one(key_file: bool, remedy: str) -> None:
    line = Said(key_file=key_file).until_open(KEY_REFUSED)
    assert remedy in line["event"]
    assert ("file" in line["event"]) == key_file
    assert line["entity"] == "cart, order"


def resumed_after_mass_rejection(*, dead_letters: bool) -> dict[str, Any]:
    said = Said(dead_letters=dead_letters)
    line = said.until_open(SUSPENDED)
    assert (line["breaker"], line["message"]) == (TripReason.REJECTIONS, "Account suspended")
    said.made.add(A)
    said.next(DELIVERED)
    return next(line for line in said.lines if line["event"].startswith("sending resumed; events were rejected"))


def test_the_end_of_mass_rejection_says_how_many_were_rejected_and_how_to_redrive_them() -> None:
    line = resumed_after_mass_rejection(dead_letters=True)
    assert line["rejected"] == 20
    command = line["redrive"].split()
    assert command[:7] == ["optico-worker", "dlq", "redrive", "--entity", "cart", "--reason", "other_error"]
    assert command[7:12:2] == ["--since", "--until", "--execute"]
    assert command[8] < command[10]


def test_without_a_dead_letter_topic_it_says_that_they_can_be_replayed() -> None:
    assert "replay" in resumed_after_mass_rejection(dead_letters=False)["redrive"]


@pytest.mark.usefixtures("at_debug")
@pytest.mark.parametrize(
    ("outcome", "became"),
    [(DELIVERED, "event delivered"), (SUSPENDED, "event rejected"), (TIMED_OUT, "event to be tried again")],
)
def test_at_debug_a_line_says_what_became_of_each_event(outcome: Outcome, became: str) -> None:
    said = Said()
    said.send(A, outcome)
    (line,) = [line for line in said.lines if line["log_level"] == "debug"]
    assert (line["event"], line["topic"], line["partition"], line["offset"]) == (became, "carts", 0, 0)
