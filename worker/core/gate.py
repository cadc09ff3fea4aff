"""The gate: an outage is not poison. It stops sending while the API is down or refuses the key. Pure.

           5 consecutive retryable outcomes of 3 entities
┌──────┐   `Invalid API key` from 2 entities (1, if no other waits)   ┌──────┐
│ open │ ────────────────────────────────────────────────────────────▶│ shut │──┐ probes fail:
└──────┘ ◀─────────────── any delivered or rejected answer ────────── └──────┘◀─┘ 1 s, 2 s … 30 s apart
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from worker.core.event import Entity
from worker.core.outcome import Outcome, Result

FAILURES_TO_SHUT: Final = 5
ENTITIES_TO_SHUT: Final = 3
REFUSALS_TO_SHUT: Final = 2
LONGEST_PROBE_INTERVAL: Final = 30.0


class Shut(StrEnum):
    """Why the gate is shut; the values are those of the metrics' label `reason`."""

    OUTAGE = "outage"
    INVALID_API_KEY = "invalid_api_key"


@dataclass(frozen=True, slots=True)
class Change:
    """The gate opened (`shut` None), shut, or is shut for another reason now. `after` is how long it was shut (s)."""

    shut: Shut | None
    after: float = 0.0


@dataclass(slots=True)
class Gate:
    """`delay(n)` gives the seconds from the n-th failed probe (0: the shutting) to the next one."""

    delay: Callable[[int], float]
    shut: Shut | None = None
    next_probe: float = 0.0
    probing: bool = False
    _since: float = 0.0
    _probes: int = 0
    _failures: int = 0
    _failing: set[Entity] = field(default_factory=set)
    _refused: set[Entity] = field(default_factory=set)

    def observe(self, entity: Entity, outcome: Outcome, now: float, *, probe: bool, others_wait: bool) -> Change | None:
        """Takes one outcome into account; says what changed. `others_wait`: other entities have something pending."""
        if probe:
            self.probing = False
        if not outcome.asked:
            return None
        if outcome.result in (Result.DELIVERED, Result.REJECTED):
            return self._answered(now)
        self._failures += 1
        if len(self._failing) < ENTITIES_TO_SHUT:
            self._failing.add(entity)
        if outcome.result is Result.KEY_REFUSED:
            self._refused.add(entity)
        if self.shut is not None:
            return self._still_shut(outcome, now, probe=probe)
        if self._refused and (len(self._refused) >= REFUSALS_TO_SHUT or not others_wait):
            return self._shut(Shut.INVALID_API_KEY, now)
        if self._failures >= FAILURES_TO_SHUT and len(self._failing) >= ENTITIES_TO_SHUT:
            return self._shut(Shut.OUTAGE, now)
        return None

    def may_probe(self, now: float) -> bool:
        return self.shut is not None and not self.probing and now >= self.next_probe

    def put_off(self, now: float) -> None:
        """There is nothing to probe with just now."""
        self.next_probe = now + self.delay(0)

    def _answered(self, now: float) -> Change | None:
        self._failures = 0
        self._failing.clear()
        self._refused.clear()
        if self.shut is None:
            return None
        self.shut = None
        return Change(None, after=now - self._since)

    def _shut(self, why: Shut, now: float) -> Change:
        self.shut = why
        self._since = now
        self._probes = 0
        self._plan_probe(now)
        return Change(why)

    def _still_shut(self, outcome: Outcome, now: float, *, probe: bool) -> Change | None:
        if probe:
            self._probes += 1
            self._plan_probe(now)
        if outcome.result is Result.KEY_REFUSED and self.shut is not Shut.INVALID_API_KEY:
            self.shut = Shut.INVALID_API_KEY  # the API is back, and says what is wrong now
            return Change(self.shut)
        return None

    def _plan_probe(self, now: float) -> None:
        self.next_probe = now + min(self.delay(self._probes), LONGEST_PROBE_INTERVAL)
