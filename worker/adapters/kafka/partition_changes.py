"""The library's state of the assigned partitions, which says what of it has changed.

In the place of its own for every consumer of the process. The library looks at every assigned partition several times
in each poll. With thousands of them an idle worker does little else. So what a poll asks is answered here from the few
partitions that are not plainly readable. Private parts of kafka-python 3.0.12, which is pinned.

Nobody has to report a change: whatever is written into a partition's state marks it, and so does its coming and going.
"""

from collections.abc import Iterable
from typing import Any

from kafka.consumer import group, subscription_state
from kafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from kafka.structs import TopicPartition


class Changes:
    """Partitions that have changed since the last `take`. Any thread may add, one thread takes."""

    def __init__(self) -> None:
        self._marked: dict[TopicPartition, None] = {}

    def add(self, tp: TopicPartition) -> None:
        self._marked[tp] = None

    def take(self) -> list[TopicPartition]:
        """In the order in which they changed. What changes meanwhile comes now or the next time."""
        return [self._marked.popitem()[0] for _ in range(len(self._marked))][::-1]


class TrackedState(TopicPartitionState):  # type: ignore[misc]
    """One assigned partition. From `track` on, whatever is written marks it as changed."""

    _tracked: "tuple[TopicPartition, list[Changes]] | None" = None

    def track(self, tp: TopicPartition, watching: list[Changes]) -> None:
        self._tracked = tp, watching

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if self._tracked is not None:
            tp, watching = self._tracked
            for changes in watching:
                changes.add(tp)

    @property
    def plain(self) -> bool:
        """It has a position that needs no validation: nothing is to be done for it but to read on."""
        return self.has_valid_position and not self.awaiting_reset and not self.awaiting_validation


class TrackedSubscription(SubscriptionState):  # type: ignore[misc]
    """See the module. `watch` hands out the changes, to as many as want to know."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watching: list[Changes] = []
        self._changes = self.watch()
        self._unsettled: set[TopicPartition] = set()

    def watch(self) -> Changes:
        """From now on each change is found there too; what is assigned already counts as changed."""
        changes = Changes()
        for tp in self.assignment:
            changes.add(tp)
        self._watching.append(changes)
        return changes

    def _apply_assignment(self, partitions: Iterable[TopicPartition], randomize: bool = False) -> None:
        before = set(self.assignment)
        super()._apply_assignment(partitions, randomize=randomize)
        for tp in self.assignment.keys() - before:
            self.assignment[tp].track(tp, self._watching)
        self._mark(self.assignment.keys() ^ before)

    def unsubscribe(self) -> None:
        with self._lock:
            gone = set(self.assignment)
            super().unsubscribe()
            self._mark(gone)

    def has_all_fetch_positions(self) -> bool:
        with self._lock:
            return all(self.assignment[tp].has_valid_position for tp in self._not_plain())

    def missing_fetch_positions(self) -> set[TopicPartition]:
        with self._lock:
            return {tp for tp in self._not_plain() if self.assignment[tp].is_missing_position()}

    def partitions_needing_reset(self) -> set[TopicPartition]:
        with self._lock:
            states = ((tp, self.assignment[tp]) for tp in self._not_plain())
            return {tp for tp, state in states if state.awaiting_reset and state.is_reset_allowed()}

    def partitions_needing_validation(self) -> set[TopicPartition]:
        with self._lock:
            states = ((tp, self.assignment[tp]) for tp in self._not_plain())
            return {tp for tp, state in states if state.awaiting_validation and state.is_validation_allowed()}

    def _not_plain(self) -> list[TopicPartition]:
        """Under the lock, as both of the library's threads ask."""
        for tp in self._changes.take():
            state = self.assignment.get(tp)
            if state is None or state.plain:
                self._unsettled.discard(tp)
            else:
                self._unsettled.add(tp)
        return list(self._unsettled)

    def _mark(self, partitions: Iterable[TopicPartition]) -> None:
        for tp in partitions:
            for changes in self._watching:
                changes.add(tp)


def track_changes() -> None:
    """From now on every consumer of this process does so."""
    subscription_state.TopicPartitionState = TrackedState
    group.SubscriptionState = TrackedSubscription
