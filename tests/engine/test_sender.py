"""What a sender says of an event that keeps failing while others are accepted."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.core.support import SERVER_ERROR, A, B, Box, box
from tests.engine.test_hot_path import Accepts, Key
from tests.formats.events import cart, value
from worker.core.lane import Delivery
from worker.core.outcome import DELIVERED, Outcome
from worker.core.rules import Settled
from worker.engine.reporting import FAILS_OFTEN
from worker.engine.sender import Sender, encoder
from worker.formats import ReadConfig
from worker.ports import Content

EVENT = Content(value(cart()), None, (), 0)


@dataclass
class Poisoned:
    """A desk whose clock goes on to what is due next, and an API that fails for A that often, and accepts B."""

    made: Box
    failures: int
    warned: list[dict[str, Any]] = field(default_factory=list)
    _taken: Delivery | None = None

    def clock(self) -> float:
        return self.made.now

    def take(self) -> Delivery | None:
        if not self.failures or not self.made.outbox.pending:
            return None
        self._taken = self.made.next()
        self._taken.event.payload = EVENT
        return self._taken

    def post(self, path: str, body: bytes) -> Outcome:
        assert path, body
        assert self._taken is not None
        return SERVER_ERROR if self._taken.entity == A else DELIVERED

    def settle(self, delivery: Delivery, outcome: Outcome) -> Settled:
        if delivery.entity == A:
            self.failures -= 1
            self.made.add(B)
        return self.made.settle(delivery, outcome)

    def warn(self, event: str, **fields: Any) -> None:
        self.warned.append({"event": event, **fields})


def sent(failures: int, *, dead_letters: bool) -> list[dict[str, Any]]:
    """What is said by the time that A has failed that often."""
    made = box(dead_letters=dead_letters)
    made.add(A)
    desk = Poisoned(made, failures)
    Sender(cast(Any, desk), desk, Key(), encoder(ReadConfig()), Accepts(), desk.warn).run()
    return [said for said in desk.warned if said["event"].startswith("an event keeps failing")]


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


def test_want_of_memory_is_not_the_event_s_fault() -> None:
    """It is not rejected: the process ends, and the event is read again by whoever starts next."""

    def encode_too_much(*_: object) -> Any:
        raise MemoryError

    made = box(dead_letters=True)
    made.add(A)
    desk = Poisoned(made, 1)
    with pytest.raises(MemoryError):
        Sender(cast(Any, desk), desk, Key(), encode_too_much, Accepts(), desk.warn).run()
    assert (made.outbox.unsettled, len(made.outbox.letters)) == (1, 0)
