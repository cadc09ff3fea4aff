"""What a sender says of an event that keeps failing while others are accepted."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.core.support import SERVER_ERROR, A, B, box
from tests.engine.loop import Aside, SimulatedLoop
from tests.engine.test_hot_path import Accepts, Key
from worker.core.letters import Letter
from worker.core.outcome import DELIVERED, Outcome
from worker.core.state import Attempt
from worker.engine.dead_letter_writer import DeadLetterWriter
from worker.engine.reporting import FAILS_OFTEN
from worker.engine.sender import Sender
from worker.engine.shared_queue import SharedQueue
from worker.formats import Form


@dataclass
class Poisoned:
    """An API that fails for A and accepts B."""

    failures: int = 0
    warned: list[dict[str, Any]] = field(default_factory=list)
    _sent: Attempt | None = None

    def encode(self, attempt: Attempt, _: str) -> Form:
        self._sent = attempt
        return Form("/api/customer-cart", b"a form")

    async def post(self, path: str, body: bytes) -> Outcome:
        assert path, body
        assert self._sent is not None
        self.failures += self._sent.entity == A
        return SERVER_ERROR if self._sent.entity == A else DELIVERED

    async def close(self) -> None: ...

    def warn(self, event: str, **fields: Any) -> None:
        self.warned.append({"event": event, **fields})


def sent(failures: int, *, dead_letters: bool) -> list[dict[str, Any]]:
    """What is said by the time that A has failed that often, with B accepted after each failure."""
    made, api = box(dead_letters=dead_letters), Poisoned()
    made.add(A)
    loop = SimulatedLoop(lambda: made.now)
    queue = SharedQueue(made.deliveries, lambda: made.now)
    sender = Sender(queue, api, Key(), api.encode, Accepts(), api.warn, 1)
    sender.start(cast(Any, loop), Aside())
    while api.failures < failures and made.deliveries.pending:
        before = api.failures
        made.pass_time(1.0)
        loop.turn()
        if api.failures > before:
            made.add(B)
    return [said for said in api.warned if said["event"].startswith("an event keeps failing")]


@pytest.mark.parametrize("dead_letters", [True, False])
def test_it_is_named_long_before_its_attempts_are_used_up(dead_letters: bool) -> None:
    """The first failure does not count, as nobody else was answered before it."""
    assert sent(FAILS_OFTEN, dead_letters=dead_letters) == []
    (said,) = sent(FAILS_OFTEN + 1, dead_letters=dead_letters)
    assert said["event"] == "an event keeps failing: it is tried on, and holds up its partition's commits"
    assert (said["attempts"], said["partition"], said["offset"], said["reason"]) == (FAILS_OFTEN, 0, 0, "http_5xx")


def test_its_end_is_said() -> None:
    assert sent(51, dead_letters=True)[-1]["event"] == "an event keeps failing: it becomes a dead letter"
    assert sent(51, dead_letters=False)[-1]["event"].endswith("set KAFKA_DLQ_TOPIC to have such events put aside")


def test_letters_that_are_handed_out_before_the_loop_hears_of_the_last_ones_are_written_too() -> None:
    """The writer gives letters back on its own thread. Another turn may come before its task goes on."""
    made = box(dead_letters=True)
    written: list[Letter] = []
    loop = SimulatedLoop(lambda: made.now, holds=lambda _: True)
    queue = SharedQueue(made.deliveries, lambda: made.now, letters_at_once=1)
    writer = DeadLetterWriter(queue, cast(Any, Takes(written)))
    sender = Sender(queue, Poisoned(), Key(), Poisoned().encode, Accepts(), Poisoned().warn, 1, writer)
    sender.start(cast(Any, loop), Aside())
    for _ in range(3):
        made.refuse()
    made.pass_time(1.0)
    for _ in range(3):
        loop.turn()
        ((future, work),) = loop.held
        loop.held.clear()
        work()
        made.pass_time(1.0)
        loop.turn()
        future.set_result(None)
    loop.turn()
    assert len(written) == 3
    assert not sender._over.done()


class Takes:
    def __init__(self, written: list[Letter]) -> None:
        self._written = written

    def write(self, letters: list[Letter]) -> list[Letter]:
        self._written += letters
        return letters
