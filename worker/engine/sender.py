"""The sending loop: one event loop makes all requests, each in a task of its own, and settles what comes of them.

A turn settles all answers that came since the last one, and starts what is due then; see `SharedQueue.turn`. It runs
when an answer has come, when the queue's own time has come, and when the queue wakes it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
import uvloop

from worker.core.delivery_config import SettleResult
from worker.core.large import LARGE
from worker.core.letters import Letter
from worker.core.outcome import Outcome, Result
from worker.core.state import Attempt
from worker.engine.dead_letter_writer import DeadLetterWriter
from worker.engine.reporting import Reporter, where
from worker.engine.shared_queue import SharedQueue
from worker.formats import Form, ReadConfig, encode
from worker.ports import Api, Measure, Warn

log = structlog.get_logger(__name__)

Encode = Callable[[Attempt, str], Form]

#: The loop turns at least this often (s), so that a loop that is stuck can be told from one with nothing to do.
HEARTBEAT: Final = 1.0
#: The loop's timers count in whole milliseconds.
_PER_SECOND: Final = 1000
#: What the loop names where it complains of a connection.
_OF_THE_NETWORK: Final = frozenset({"transport", "protocol", "future"})
#: What a difference of two times may be off (ms).
_ROUNDING: Final = 1e-6


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
    """`concurrency`: requests in flight, at most. `letters` writes dead letters; None: nobody does.

    `patience`: how long what is in flight is awaited once the queue is closed (s).
    """

    queue: SharedQueue
    api: Api
    key: Key
    encode: Encode
    measure: Measure
    warn: Warn
    concurrency: int
    letters: DeadLetterWriter | None = None
    patience: float = 0.0
    _reporter: Reporter = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _over: "asyncio.Future[None]" = field(init=False)
    #: For what would hold the loop: large bodies, files, the producer of dead letters.
    _aside: Executor = field(init=False)
    _tasks: "dict[object, asyncio.Task[None]]" = field(default_factory=dict)
    _answered: list[tuple[Attempt, Outcome]] = field(default_factory=list)
    _turn_is_due: bool = False
    _timer: asyncio.TimerHandle | None = None
    _timer_at: float = float("inf")

    def __post_init__(self) -> None:
        of_file, redrivable = self.key.path is not None, self.letters is not None
        self._reporter = Reporter(self.warn, self.queue.clock, lambda: time.time(), of_file, redrivable)  # noqa: PLW0108 - the state machine replaces `time`

    def run(self) -> None:
        """Sends until the queue is closed, on the calling thread. Raises whatever went wrong inside."""
        try:
            with ThreadPoolExecutor(2, "aside") as aside, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._run(aside))
        finally:
            if self.letters is not None:
                self.letters.close()

    async def _run(self, aside: Executor) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._complain)
        try:
            self.start(loop, aside)
            await self._over
        finally:
            for task in self._tasks.values():
                task.cancel()  # before its connection is closed, which would be taken for a failure of the API
            await self.api.close()

    def start(self, loop: asyncio.AbstractEventLoop, aside: Executor) -> None:
        """Begins to turn on that loop. `aside` runs what would hold it."""
        self._loop, self._aside = loop, aside
        self._over = loop.create_future()
        self.queue.on_wake(self._wake)
        self._turn()

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop has met an exception that nobody catches.

        One of a connection, or of a future of the loop's own that nobody awaits any more, as after a time-out, is the
        network's: whoever waits for that connection hears of it in another way. All others are bugs.
        """
        error = context.get("exception") or RuntimeError(context.get("message"))
        if context.keys() & _OF_THE_NETWORK:
            problem = f"{context.get('message')}: {type(error).__name__}: {error}"
            self.warn("a connection to the API failed in an unusual way", per="event_loop", problem=problem)
        else:
            self._fail(error)

    def _wake(self) -> None:
        """Called on any thread, also when all is over."""
        with suppress(RuntimeError):  # the loop is closed: what it died of is known already
            self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        if self._over.done():
            return  # it has failed, or all has come back: only the client is left to be closed
        answered, self._answered, self._turn_is_due = self._answered, [], False
        try:
            turn = self.queue.turn(answered, self.concurrency)
            for attempt in turn.started:
                self._tasks[attempt] = self._loop.create_task(self._exchange(attempt))
            if turn.letters and self.letters is not None:
                self._tasks[turn.letters[0]] = self._loop.create_task(self._write(self.letters, turn.letters))
            for (attempt, outcome), settled in zip(answered, turn.settled, strict=True):
                del self._tasks[attempt]
                self._report(attempt, outcome, settled)
            if self.queue.closed:
                self._end()
            else:
                self._set_timer(turn.now, min(turn.now + HEARTBEAT, turn.wake_at))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the loop must not turn on as if nothing was
            self._fail(error)

    def _set_timer(self, now: float, at: float) -> None:
        """One timer; it may ring too early, when an event that was due sooner has gone meanwhile."""
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            wait = ceil((at - now) * _PER_SECOND - _ROUNDING) / _PER_SECOND
            self._timer = self._loop.call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._turn()

    async def _exchange(self, attempt: Attempt) -> None:
        try:
            outcome = await self._send(attempt)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - nobody awaits this task
            self._fail(error)
            return
        self._answered.append((attempt, outcome))
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    async def _write(self, writer: DeadLetterWriter, letters: list[Letter]) -> None:
        try:
            await self._loop.run_in_executor(self._aside, writer.write, letters)
            del self._tasks[letters[0]]
            self._turn()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - nobody awaits this task
            self._fail(error)

    async def _send(self, attempt: Attempt) -> Outcome:
        if attempt.probe:
            await self._loop.run_in_executor(self._aside, self._reload_key)
        try:
            if attempt.event.size < LARGE:
                form = self.encode(attempt, self.key.value)
            else:
                form = await self._loop.run_in_executor(self._aside, self.encode, attempt, self.key.value)
        except MemoryError:
            raise  # not the event's fault: the process ends, and whoever starts next reads the event again
        except Exception as error:
            log.exception("an event was taken in and can't be encoded: a bug", **where(attempt))
            message = f"can't be encoded: {type(error).__name__}"
            return Outcome(Result.REJECTED, "invalid_event", message, asked=False)
        started = self.queue.clock()
        outcome = await self.api.post(form.path, form.body)
        self.measure.request(attempt.entity.kind, self.queue.clock() - started)
        return outcome

    def _reload_key(self) -> None:
        if self.key.reload():
            log.info("the API key file has changed; trying the new key")
        elif self.key.problem is not None:
            self.warn(
                "the API key file can't be used; the key stays as it was", per="key_file", problem=self.key.problem
            )

    def _report(self, attempt: Attempt, outcome: Outcome, settled: SettleResult) -> None:
        if settled.first:
            seconds = max(0.0, time.time() - attempt.event.occurred_at)
            self.measure.delivered(attempt.entity.kind, seconds)
            if attempt.on_call:
                self.measure.call_delivered(attempt.entity.kind, seconds)
        self._reporter.request(attempt, outcome, settled)

    def _end(self) -> None:
        """The queue is closed: what is in flight is awaited, but not for ever."""
        if not self._tasks:
            self._give_up()
        elif not self._over.done():
            self._loop.call_later(self.patience, self._give_up)

    def _give_up(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)


def encoder(config: ReadConfig) -> Encode:
    """What makes the request of a delivery, given the key. Ids get the prefix of the record's topic."""

    def of(attempt: Attempt, key: str) -> Form:
        event = attempt.event
        link = None if event.link is None else event.link.texts
        return encode(event.payload.value, config.for_topic(event.owner.partition.topic), key, link)

    return of
