"""Circuit breakers: an outage is not a poisoned event. An open one stops sending for the kinds that it covers. Pure.

             a row of outcomes (`rows`)                     1 s to 30 s apart
    closed ────────────────────────────▶ open ───────────────────────────────▶ half-open: one probe
       ▲                                   ▲ failed                                 │        │
       │                                   └────────────────────────────────────────┘        │ answered
       └─────────────────────────────────────────────────────────────────────────────────────┘

Each kind has a breaker, which opens by an outage or by mass rejection; a refused key opens one that covers both kinds.
While that one is open its probes are the only ones, and it takes the place of an outage. Rules: the event contract's
section on circuit breakers.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from worker.core.event import Entity, Kind
from worker.core.outcome import Outcome, Result
from worker.core.rows import FailureRow, RefusalRow, RejectionRow

KINDS: Final[tuple[Kind, Kind]] = ("cart", "order")
_OTHER: Final[dict[Kind, Kind]] = {"cart": "order", "order": "cart"}
LONGEST_PROBE_INTERVAL: Final = 30.0
#: So many probes in a row that fail for a reason of their own event's say that the API works.
OWN_FAULTS_TO_CLOSE: Final = 10


class TripReason(StrEnum):
    """Why a breaker is open; the values are those of the metrics' label `reason`."""

    OUTAGE = "outage"
    INVALID_API_KEY = "invalid_api_key"
    REJECTIONS = "rejections"


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker opened, or closed after `after` seconds. `kinds`: those that it covers.

    Of `rejections` that closed: how many events were `rejected` before it opened or in flight then, for which
    `reasons`, and when (monotonic seconds) that `began`.
    """

    reason: TripReason
    kinds: tuple[Kind, ...]
    opened: bool
    after: float = 0.0
    rejected: int = 0
    reasons: tuple[str, ...] = ()
    began: float = 0.0


@dataclass(slots=True, eq=False)
class CircuitBreaker:
    """One breaker. `reason` None: closed, requests pass. `delay(n)`: seconds from the n-th failed probe (0: opening).

    `probing`: its probe is in flight. `turn`: how many probes were sent; `probed`: with which entity last. `extended`:
    it is open only because the other kind's requests are rejected. `own_faults`: see OWN_FAULTS_TO_CLOSE.
    """

    covers: tuple[Kind, ...]
    delay: Callable[[int], float]
    reason: TripReason | None = None
    opened_at: float = 0.0
    next_probe: float = 0.0
    probing: bool = False
    turn: int = 0
    probed: Entity | None = None
    extended: bool = False
    own_faults: int = 0
    _failed: int = 0
    _planned_at: float = 0.0

    def open(self, reason: TripReason, now: float) -> None:
        self.reason, self.opened_at = reason, now
        self.extended, self.own_faults, self._failed = False, 0, 0
        self._plan(now, self.delay(0))

    def may_probe(self, now: float) -> bool:
        return self.reason is not None and not self.probing and now >= self.next_probe

    def probe(self, entity: Entity) -> None:
        """A probe starts."""
        self.probing, self.probed = True, entity
        self.turn += 1

    def failed(self, now: float, *, untried: bool) -> None:
        """Its probe did not close it. `untried`: an entity waits that was not tried since the opening."""
        self._failed += 1
        soon = untried or self.reason is TripReason.REJECTIONS
        self._plan(now, min(self.delay(0 if soon else self._failed), LONGEST_PROBE_INTERVAL))

    def put_off(self, now: float) -> None:
        """There is nothing to probe with just now, or a probe said nothing."""
        self._plan(now, self.delay(0))

    def hurry(self, now: float) -> None:
        """An entity came that was not tried since the opening."""
        if self.reason is not None:
            self.next_probe = min(self.next_probe, max(now, self._planned_at + self.delay(0)))

    def _plan(self, now: float, seconds: float) -> None:
        self._planned_at, self.next_probe = now, now + seconds


@dataclass(slots=True)
class CircuitBreakers:
    """All breakers of a delivery queue. `closed`: the kinds whose requests pass. `rejection_limit` 0: never.

    `answers`: how many requests were delivered or rejected so far.
    """

    delay: Callable[[int], float]
    rejection_limit: int
    closed: tuple[Kind, ...] = KINDS
    answers: int = 0
    key: CircuitBreaker = field(init=False)
    of: dict[Kind, CircuitBreaker] = field(init=False)
    _deliveries: int = 0
    _failures: dict[Kind, FailureRow] = field(default_factory=lambda: {kind: FailureRow() for kind in KINDS})
    _refusals: RefusalRow = field(default_factory=RefusalRow)
    _rejections: dict[Kind, RejectionRow] = field(init=False)

    def __post_init__(self) -> None:
        self.key = CircuitBreaker(KINDS, self.delay)
        self.of = {kind: CircuitBreaker((kind,), self.delay) for kind in KINDS}
        self._rejections = {kind: RejectionRow(self.rejection_limit) for kind in KINDS}

    def __repr__(self) -> str:
        return ", ".join(f"{kind}: {reason}" for kind, reason in self.paused()) or "closed"

    def open(self) -> list[CircuitBreaker]:
        """Those that may send probes."""
        if self.key.reason is not None:
            return [self.key]
        return [breaker for breaker in self.of.values() if breaker.reason is not None]

    def paused(self) -> list[tuple[Kind, TripReason]]:
        """Which kinds are stopped, and why: by a refused key both."""
        key = [(kind, self.key.reason) for kind in KINDS if self.key.reason is not None]
        return key + [(kind, one.reason) for kind, one in self.of.items() if one.reason is not None]

    def spares(self, kind: Kind, outcome: Outcome, *, own_fault: bool) -> bool:
        """Whether a probe's rejection settles nothing: everything of its kind is rejected just now."""
        rejected = outcome.result is Result.REJECTED and outcome.asked and not own_fault
        return rejected and self.of[kind].reason is TripReason.REJECTIONS

    def hurry(self, kind: Kind, now: float) -> None:
        """An entity of the kind waits that was not tried since its breaker opened."""
        (self.key if self.key.reason is not None else self.of[kind]).hurry(now)

    def observe(
        self,
        entity: Entity,
        outcome: Outcome,
        now: float,
        *,
        pending: Collection[Entity],
        probe: CircuitBreaker | None = None,
        own_fault: bool = False,
        answered_since: bool = False,
    ) -> tuple[Change, ...]:
        """Takes one outcome into account; says what changed.

        `pending`: all entities with anything unsettled. `own_fault`: the rejection belongs to the event and says
        nothing of others. `answered_since`: something was delivered or rejected since the request was sent.
        """
        if probe is not None:
            probe.probing = False
        if not outcome.asked or outcome.reason == "http_429":
            return ()
        kind = entity.kind
        if outcome.result is Result.DELIVERED:
            changes = self._delivered(kind, now)
        elif outcome.result is Result.REJECTED:
            changes = self._rejected(entity, outcome, now, probe=probe is not None, own_fault=own_fault)
        else:
            self.of[kind].own_faults = 0
            changes = self._failed(entity, outcome, now, pending, counts=not answered_since)
        if changes:
            key = self.key.reason is not None
            closed = () if key else tuple(kind for kind in KINDS if self.of[kind].reason is None)
            self.closed = KINDS if closed == KINDS else closed
        return changes

    def _delivered(self, kind: Kind, now: float) -> tuple[Change, ...]:
        self._deliveries += 1
        self._answered(kind)
        changes = [*self._close(self.key, now)]
        evidence = self.of[kind].reason is TripReason.REJECTIONS and not self.of[kind].extended
        changes += self._close(self.of[kind], now)
        if evidence and self.of[_OTHER[kind]].extended:
            changes += self._close(self.of[_OTHER[kind]], now)
        self._rejections[kind].clear()
        return tuple(changes)

    def _rejected(
        self, entity: Entity, outcome: Outcome, now: float, *, probe: bool, own_fault: bool
    ) -> tuple[Change, ...]:
        kind = entity.kind
        breaker, row = self.of[kind], self._rejections[kind]
        self._answered(kind)
        changes = [*self._close(self.key, now)]
        if breaker.reason is TripReason.OUTAGE:
            changes += self._close(breaker, now)
        if breaker.reason is TripReason.REJECTIONS:
            changes += self._rejected_while_open(entity, outcome, now, probe=probe, own_fault=own_fault)
        elif not own_fault:
            row.add(entity, outcome, now, self._deliveries)
            if row.full:
                changes.append(self._trip_by_rejections(kind, now))
        return tuple(changes)

    def _rejected_while_open(
        self, entity: Entity, outcome: Outcome, now: float, *, probe: bool, own_fault: bool
    ) -> tuple[Change, ...]:
        breaker, row = self.of[entity.kind], self._rejections[entity.kind]
        if own_fault:
            breaker.own_faults += probe
            if breaker.own_faults < OWN_FAULTS_TO_CLOSE:
                return ()
            changes = self._close(breaker, now)
            row.clear()
            return changes
        if probe:
            breaker.own_faults, breaker.extended = 0, False
        else:
            row.add(entity, outcome, now, self._deliveries)  # it was in flight when the breaker opened
        return ()

    def _failed(
        self, entity: Entity, outcome: Outcome, now: float, pending: Collection[Entity], *, counts: bool
    ) -> tuple[Change, ...]:
        breaker, row = self.of[entity.kind], self._failures[entity.kind]
        row.add(entity)
        if outcome.result is Result.KEY_REFUSED and counts:
            self._refusals.add(entity)
            if self.key.reason is None and self._refusals.full(pending):
                return (self._trip_by_the_key(now),)
        if self.key.reason is None and breaker.reason is None and row.full:
            breaker.open(TripReason.OUTAGE, now)
            return (Change(TripReason.OUTAGE, breaker.covers, opened=True),)
        return ()

    def _answered(self, kind: Kind) -> None:
        """The API said something of an event: it is there, and takes the key."""
        self.answers += 1
        self._failures[kind].clear()
        self._refusals.clear()

    def _trip_by_rejections(self, kind: Kind, now: float) -> Change:
        """Both kinds, if nothing at all was delivered since the row began."""
        self.of[kind].open(TripReason.REJECTIONS, now)
        other = self.of[_OTHER[kind]]
        if self._rejections[kind].deliveries != self._deliveries or other.reason is TripReason.REJECTIONS:
            return Change(TripReason.REJECTIONS, (kind,), opened=True)
        other.open(TripReason.REJECTIONS, now)
        other.extended = True
        return Change(TripReason.REJECTIONS, KINDS, opened=True)

    def _trip_by_the_key(self, now: float) -> Change:
        """It takes the place of outages: the API is there, and says what is wrong."""
        self.key.open(TripReason.INVALID_API_KEY, now)
        for kind, breaker in self.of.items():
            if breaker.reason is TripReason.OUTAGE:
                breaker.reason = None
            self._failures[kind].clear()
        return Change(TripReason.INVALID_API_KEY, KINDS, opened=True)

    def _close(self, breaker: CircuitBreaker, now: float) -> tuple[Change, ...]:
        reason, breaker.reason = breaker.reason, None
        if reason is None:
            return ()
        breaker.extended = False
        change = Change(reason, breaker.covers, opened=False, after=now - breaker.opened_at)
        if reason is TripReason.REJECTIONS:
            row = self._rejections[breaker.covers[0]]
            change = replace(change, rejected=row.rejected, reasons=tuple(sorted(row.reasons)), began=row.began)
        return (change,)
