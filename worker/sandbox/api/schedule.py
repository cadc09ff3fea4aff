"""The faults that are set: which rule a request meets, and which rules are spent."""

from collections.abc import Callable, Iterable
from random import Random

from worker.sandbox.api.check import Kind
from worker.sandbox.api.faults import Rule
from worker.sandbox.api.views import FaultState


class ActiveRule:
    """A rule with what is left of it."""

    def __init__(self, rule: Rule, now: float) -> None:
        self.rule = rule
        self.hits = 0
        self.until = None if rule.for_seconds is None else now + rule.for_seconds
        # Two generators: how many latencies were drawn must not change which requests are met.
        self._chance = Random(rule.seed)
        self._latency = Random(None if rule.seed is None else rule.seed + 1)

    def alive(self, now: float) -> bool:
        spent = self.rule.count is not None and self.hits >= self.rule.count
        return not spent and (self.until is None or now < self.until)

    def meets(self, kind: Kind, entity_id: str | None) -> bool:
        rule = self.rule
        return (
            (rule.kind is None or rule.kind == kind)
            and (rule.id is None or rule.id == entity_id)
            and (rule.ids is None or entity_id in rule.ids)
            and (rule.probability is None or self._chance.random() < rule.probability)
        )

    def latency(self) -> float:
        """Seconds."""
        return 0.0 if self.rule.latency is None else self.rule.latency.sample(self._latency)


class Schedule:
    """Rules in order, on the event loop only."""

    def __init__(self, rules: Iterable[Rule], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rules = [ActiveRule(rule, clock()) for rule in rules]

    def take(self, kind: Kind, entity_id: str | None) -> ActiveRule | None:
        """The first living rule that meets the request, one hit nearer to being spent."""
        if not self._rules:
            return None
        now = self._clock()
        for active in self._rules:
            if active.alive(now) and active.meets(kind, entity_id):
                active.hits += 1
                return active
        return None

    def states(self) -> list[FaultState]:
        now = self._clock()
        return [
            FaultState(
                rule=active.rule.model_dump(mode="json", exclude_unset=True),
                hits=active.hits,
                active=active.alive(now),
            )
            for active in self._rules
        ]
