"""Rows of outcomes that open a circuit breaker: what counts, what interrupts them, when they are full. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from worker.core.event import Entity
from worker.core.outcome import UNKNOWN_VISIT, Outcome

FAILURES: Final = 5
FAILING_ENTITIES: Final = 3
REFUSED_ENTITIES: Final = 3
REFUSALS_OF_EACH: Final = 3
REJECTED_ENTITIES: Final = 5
#: A row of nothing but `Unknown visit_id` must be so many times longer.
UNKNOWN_VISITS: Final = 5


@dataclass(slots=True)
class FailureRow:
    """Consecutive retryable outcomes of one kind."""

    failures: int = 0
    entities: set[Entity] = field(default_factory=set)

    def add(self, entity: Entity) -> None:
        self.failures += 1
        if len(self.entities) < FAILING_ENTITIES:
            self.entities.add(entity)

    def clear(self) -> None:
        if self.failures:
            self.failures = 0
            self.entities.clear()

    @property
    def full(self) -> bool:
        return self.failures >= FAILURES and len(self.entities) >= FAILING_ENTITIES


@dataclass(slots=True)
class RefusalRow:
    """Entities for which the key was refused since anything was delivered or rejected, and how often."""

    refused: dict[Entity, int] = field(default_factory=dict)

    def add(self, entity: Entity) -> None:
        self.refused[entity] = self.refused.get(entity, 0) + 1

    def clear(self) -> None:
        self.refused.clear()

    def full(self, pending: Collection[Entity]) -> bool:
        """`pending`: all entities with anything unsettled."""
        if len(self.refused) >= REFUSED_ENTITIES:
            return True
        few = 0 < len(pending) < REFUSED_ENTITIES
        return few and all(self.refused.get(entity, 0) >= REFUSALS_OF_EACH for entity in pending)


@dataclass(slots=True)
class RejectionRow:
    """Rejected requests of one kind since one was delivered. `limit`: at so many it is full; 0: never.

    `began`: when (monotonic seconds). `deliveries`: how many events of either kind had been delivered by then.
    """

    limit: int
    rejected: int = 0
    with_other_messages: int = 0
    entities: set[Entity] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)
    began: float = 0.0
    deliveries: int = 0

    def add(self, entity: Entity, outcome: Outcome, now: float, deliveries: int) -> None:
        if not self.rejected:
            self.began, self.deliveries = now, deliveries
        self.rejected += 1
        self.with_other_messages += outcome.reason != UNKNOWN_VISIT
        self.reasons.add(outcome.reason)
        if len(self.entities) < REJECTED_ENTITIES:
            self.entities.add(entity)

    def clear(self) -> None:
        if self.rejected:
            self.rejected = self.with_other_messages = 0
            self.entities.clear()
            self.reasons.clear()

    @property
    def full(self) -> bool:
        if not self.limit or len(self.entities) < REJECTED_ENTITIES:
            return False
        return self.rejected >= (self.limit if self.with_other_messages else UNKNOWN_VISITS * self.limit)
