"""The pause of everything after a 429: for as long as its `Retry-After` asks, else 1 s, 2 s, 4 s … 30 s. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.core.delivery_config import LONGEST_PAUSE, LONGEST_UNASKED_PAUSE
from worker.core.outcome import Outcome

#: Outcomes that are no answer of the API.
_UNANSWERED: Final = ("timeout", "connection")


@dataclass(slots=True)
class Pause:
    """`delay(n)`: seconds of the n-th pause in a row (from 0) that was not asked for. `until`: monotonic seconds."""

    delay: Callable[[int], float]
    until: float = 0.0
    _since: float = float("-inf")
    _in_a_row: int = 0

    def observe(self, outcome: Outcome, started_at: float, now: float) -> None:
        """Takes one outcome into account, of a request that started then.

        Of several requests that were in flight together the first 429 makes the next pause longer, the others do not.
        """
        if outcome.reason != "http_429":
            if outcome.reason not in _UNANSWERED:
                self._in_a_row = 0
            return
        if outcome.retry_after is None and started_at > self._since:
            self._in_a_row += 1
            self._since = now
        asked = outcome.retry_after
        unasked = min(self.delay(max(0, self._in_a_row - 1)), LONGEST_UNASKED_PAUSE)
        self.until = max(self.until, now + (unasked if asked is None else min(asked, LONGEST_PAUSE)))
