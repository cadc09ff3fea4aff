"""Plain counters of what became of the events: counting one costs a dictionary's increment, no lock of its own."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Invariant: consumed = collapsed + skipped + delivered + rejected + released + what is unsettled."""

    consumed: Counter[str] = field(default_factory=Counter)  # topic
    collapsed: Counter[str] = field(default_factory=Counter)  # kind of entity
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)  # kind or `unknown`, reason
    delivered: Counter[str] = field(default_factory=Counter)  # kind of entity
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)  # kind or `unknown`, reason
    released: Counter[str] = field(default_factory=Counter)  # reason
    letters: Counter[str] = field(default_factory=Counter)  # reason
    retries: Counter[str] = field(default_factory=Counter)  # reason
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # kind of entity, result
    repaired: Counter[str] = field(default_factory=Counter)  # label of the repair
    key_mismatches: Counter[str] = field(default_factory=Counter)  # topic

    def copy(self) -> "Counts":
        return Counts(*(getattr(self, name).copy() for name in self.__slots__))

    def settled(self) -> int:
        """Events that need no more attention from this process."""
        return sum(
            counter.total() for counter in (self.collapsed, self.skipped, self.delivered, self.rejected, self.released)
        )
