"""Sends what a replay hands out, with the worker's own delivery queue, circuit breakers, rate limit and loop."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

from worker.adapters.http import CartApi
from worker.adapters.logs import RateLimited
from worker.core.delivery_config import DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity
from worker.core.large import at_once
from worker.core.outcome import Outcome
from worker.core.state import Attempt
from worker.engine.retry import delays
from worker.engine.sender import Sender
from worker.engine.shared_queue import SharedQueue, Turn
from worker.formats import Form, encode
from worker.ops.replay.range_scan import Refusal, State
from worker.ops.replay.synthetic_offsets import SyntheticOffsets
from worker.ports import FatalError
from worker.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request. `at`: a moment after it came (monotonic seconds)."""

    entity: Entity
    outcome: Outcome
    at: float


class Dispatch:
    """Context manager: sends until it is left. What is under way then is awaited for `patience` seconds.

    All methods are for one thread. Raises OSError or ValueError if the HTTP client can't be set up.
    """

    def __init__(self, settings: Settings, per_second: float) -> None:
        optico, own = settings.optico, settings.worker
        # The delivery queue gives an event up as a dead letter. Here it is listed and not written, so a rejection loses
        # nothing, and mass rejection needs no circuit breaker: the user sees it, and ends with a list.
        large = at_once(optico.max_concurrency)
        rules = DeliveryConfig(
            delays(),
            window=0.0,
            large_at_once=large,
            max_attempts=own.max_attempts,
            dead_letters=True,
            rejection_limit=0,
        )
        self._queue = _Answers(DeliveryQueue(rules))
        self.patience = optico.timeout_seconds + 1.0
        self._failure: str | None = None
        self._limited = RateLimited(limit=5, interval=10.0)
        api = CartApi(
            optico.url,
            timeout=optico.timeout_seconds,
            ca_file=optico.ca_file,
            max_connection_age=optico.max_connection_age_seconds,
        )
        self._reading = settings.reading()
        self._sender = Sender(
            self._queue,
            api,
            optico.api_key,
            self._encode,
            _Unmeasured(),
            self._warn,
            optico.max_concurrency,
            patience=self.patience,
        )
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        now = self.clock()
        with self._queue.locked() as deliveries:
            deliveries.rate.set(per_second or None, now)
            self._numbers = SyntheticOffsets(deliveries, now)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.close()
        self._thread.join(self.patience + 1.0)

    def clock(self) -> float:
        """Monotonic seconds."""
        return self._queue.clock()

    def send(self, states: Sequence[tuple[Entity, State]]) -> None:
        """See `SyntheticOffsets`, here and below."""
        now = self.clock()
        with self._queue.locked() as deliveries:
            self._numbers.send(deliveries, states, now, time.time())

    def answers(self) -> list[Answer]:
        """What came since the last call. Raises FatalError if the sender died."""
        if self._failure is not None:
            raise FatalError(self._failure)
        return [self._queue.answers.popleft() for _ in range(len(self._queue.answers))]

    def given_up(self) -> list[tuple[Entity, Refusal]]:
        """Their answers came before."""
        now = self.clock()
        with self._queue.locked() as deliveries:
            deliveries.tick(now)
            return self._numbers.given_up(deliveries, now)

    def idle(self, entities: Iterable[Entity]) -> list[Entity]:
        with self._queue.locked() as deliveries:
            return self._numbers.idle(deliveries, entities)

    def paused(self) -> str | None:
        """Why nothing is sent just now: `outage`, `invalid_api_key` or `retry_after`."""
        with self._queue.locked() as deliveries:
            if not deliveries.breakers.closed:
                return str(deliveries.breakers.paused()[0][1])
            return "retry_after" if deliveries.pause.until > self.clock() else None

    def _encode(self, attempt: Attempt, key: str) -> Form:
        state: State = attempt.event.payload
        link = None if attempt.event.link is None else attempt.event.link.texts
        return encode(state.value, self._reading.for_topic(state.at.topic), key, link)

    def _run(self) -> None:
        try:
            self._sender.run()
        except BaseException as error:
            self._failure = f"the sender died: {type(error).__name__}: {error}"
            log.critical("the sender died", exc_info=True)
            raise

    def _warn(self, event: str, *, per: str, **fields: object) -> None:
        at = self._numbers.at(int(str(fields.get("offset", 0))))
        if at is not None:
            fields |= at._asdict()
        self._limited(log.warning, event, per=per, **fields)


class _Answers(SharedQueue):
    """Notes each answer before it settles anything: whoever finds an entity settled has its last answer already."""

    def __init__(self, deliveries: DeliveryQueue) -> None:
        super().__init__(deliveries)
        self.answers: deque[Answer] = deque()

    def turn(self, answered: Sequence[tuple[Attempt, Outcome]], concurrency: int) -> Turn:
        now = self.clock()
        self.answers.extend(Answer(attempt.entity, outcome, now) for attempt, outcome in answered)
        return super().turn(answered, concurrency)


class _Unmeasured:
    def request(self, kind: str, seconds: float) -> None:
        pass

    def delivered(self, kind: str, seconds: float) -> None:
        pass

    def call_delivered(self, kind: str, seconds: float) -> None:
        pass
