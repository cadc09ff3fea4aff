"""An event loop that turns only when it is told to, on a clock that others move: a simulated worker sends on it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import Context
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

#: At one moment of the clock a loop does not do more than this: it would spin.
_MOST_AT_ONCE = 10_000
#: The sender rounds its timers up to whole milliseconds; here they ring in time.
_GRAIN = 0.001


class Aside(Executor):
    """Runs what it is given at once, on the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class SimulatedLoop:
    """What of an event loop the sender needs. `turn` does all that is due by now."""

    def __init__(
        self, clock: Callable[[], float], *, holds: Callable[[Callable[..., Any]], bool] = lambda _: False
    ) -> None:
        self._clock, self._holds = clock, holds
        #: Work for the executor that is held back, until somebody does it.
        self.held: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self._ready: deque[tuple[asyncio.Handle, Context | None]] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self._broken: list[BaseException] = []

    def time(self) -> float:
        return self._clock()

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Of a task that went with its process nothing is to be said."""
        if "exception" in context:
            self._broken.append(context["exception"])

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def create_task(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        return asyncio.Task(work, loop=self)  # type: ignore[arg-type]

    def call_soon(self, work: Callable[..., Any], *given: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(work, given, self, context)  # type: ignore[arg-type]
        self._ready.append((handle, context))
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, work: Callable[..., Any], *given: Any) -> asyncio.TimerHandle:
        at = self._clock() + delay
        handle = asyncio.TimerHandle(at, work, given, self)  # type: ignore[arg-type]
        heappush(self._timers, (at, next(self._order), handle))
        return handle

    def run_in_executor(self, _: Executor, work: Callable[..., Any], *given: Any) -> "asyncio.Future[Any]":
        future = self.create_future()
        if self._holds(work):
            self.held.append((future, partial(work, *given)))
        else:
            future.set_result(work(*given))
        return future

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked for by the handle; it is passed over when its time comes."""

    def turn(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            while self._timers and self._timers[0][0] < self._clock() + _GRAIN:
                self._ready.append((heappop(self._timers)[2], None))
            if self._broken:
                raise self._broken[0]
            if not self._ready:
                return
            handle, _ = self._ready.popleft()
            if not handle.cancelled():
                handle._run()
        raise AssertionError("the sending loop spins")

    def close(self) -> None:
        """Forgets what is left, as a process does that dies."""
        self._ready.clear()
        self._timers.clear()
