"""A token bucket: how many requests may start. Pure: time comes in as an argument (seconds, monotonic)."""

from dataclasses import dataclass
from math import inf, nextafter
from typing import Final

#: What lacks no more than a float's rounding is a token: else a waiter would stay a hair short of it for ever.
_WHOLE: Final = 1.0 - 1e-9


@dataclass(slots=True)
class TokenBucket:
    """Allows `per_second` starts a second, bursts of up to one second's worth (at least one).

    None: no limit. 0: none at all, as for a worker to which no partition is assigned.
    """

    per_second: float | None = None
    _tokens: float = 0.0
    _at: float = 0.0

    def set(self, per_second: float | None, now: float) -> None:
        """Changes the rate; what was saved up stays, as far as the new burst allows."""
        if per_second == self.per_second:
            return
        self._refill(now)
        if self.per_second == 0 and per_second:
            self._tokens = 1.0  # the first request after an assignment does not wait for its token
        self.per_second = per_second
        self._at = max(self._at, now)
        self._tokens = min(self._tokens, self._burst)

    def take(self, now: float) -> bool:
        """Takes a token if there is one."""
        if self.per_second is None:
            return True
        self._refill(now)
        if self._tokens < _WHOLE:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

    def next_at(self, now: float) -> float:
        """When the next token is there; infinity if never."""
        if self.per_second is None:
            return now
        self._refill(now)
        if self._tokens >= _WHOLE:
            return now
        if self.per_second == 0:
            return inf
        # Late on a clock that has run for long, the wait may be shorter than two neighbouring floats are apart.
        return max(now + (1.0 - self._tokens) / self.per_second, nextafter(now, inf))

    @property
    def _burst(self) -> float:
        return max(1.0, self.per_second) if self.per_second else 0.0

    def _refill(self, now: float) -> None:
        if self.per_second is None:
            return
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self.per_second)
        self._at = max(self._at, now)  # whoever changes the rate may have read the clock before a taker did
