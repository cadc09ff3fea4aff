"""Known bugs, planted in the core one at a time: the state machines must find each of them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from worker.core.calls import Calls, Link
from worker.core.circuit_breaker import Change, CircuitBreaker, CircuitBreakers
from worker.core.delivery_config import SettleResult
from worker.core.delivery_queue import DeliveryQueue
from worker.core.entity_queues import EntityQueues
from worker.core.event import Entity, Kind
from worker.core.letters import Letter
from worker.core.outcome import Outcome, Result
from worker.core.owned_partitions import OwnedPartitions
from worker.core.settling import Settling
from worker.core.state import Attempt, EntityQueue, OwnedPartition, Partition, QueuedEvent, Slot

#: What is replaced: the class, its method, and the bug's own version of it.
Plant = tuple[type, str, Callable[..., Any]]

_empty = DeliveryQueue._empty
_end, _add, _assign, _plan = OwnedPartitions.revoke, DeliveryQueue.add, DeliveryQueue.assign, EntityQueues.schedule
_failed = CircuitBreakers._failed


def _committed_from_seen(self: OwnedPartition) -> int | None:
    return self.position


def _without_epoch(self: OwnedPartitions, partition: Partition) -> list[QueuedEvent]:
    owner = self.get(partition)
    left = _end(self, partition)
    if owner is not None:
        owner.alive = True
        owner.unsettled = {event.offset: event for event in left}  # what its requests still settle
    return left


def _dropped_below_the_cut(
    self: OwnedPartitions, owner: OwnedPartition, end: int, now: float
) -> tuple[OwnedPartition, list[QueuedEvent]]:
    left = self.revoke(owner.partition)
    new = self.assign(owner.partition, now)
    new.position, new.suspended, new.ambiguous_until = end, owner.suspended, owner.ambiguous_until
    return new, left


def _two_in_flight(self: EntityQueues, queue: EntityQueue) -> None:
    in_flight, queue.in_flight = queue.in_flight, None
    _plan(self, queue)
    queue.in_flight = in_flight


def _the_last_one_first(
    self: DeliveryQueue, partition: Partition, offset: int, entity: Entity, *rest: Any, **more: Any
) -> bool:
    """What waits is not replaced, and the newest goes first."""
    with patch.object(EntityQueue, "slot_of", lambda *_: None):
        added = _add(self, partition, offset, entity, *rest, **more)
    if added:
        waiting = self._queues[entity].waiting
        waiting.insert(0, waiting.pop())
    return added


def _counted_by_probes(self: Settling, queue: EntityQueue, attempt: Attempt, outcome: Outcome, now: float) -> None:
    count(self, queue, replace(attempt, breaker=None), outcome, now)


def _counted_by_outages(_: Settling, __: EntityQueue, attempt: Attempt, ___: Outcome, ____: float) -> None:
    attempt.slot.attempts += 1


def _counted_for_the_other_kind(self: Settling, queue: EntityQueue) -> int:
    return sum(self.answers.values()) - queue.answers


count = Settling._count_attempt


def _closed_by_success_only(_: CircuitBreakers, *__: Any, **___: Any) -> tuple[Change, ...]:
    return ()


def _closed_by_a_refused_key(
    self: CircuitBreakers, entity: Entity, outcome: Outcome, now: float, pending: Collection[Entity], *, counts: bool
) -> tuple[Change, ...]:
    if outcome.result is Result.KEY_REFUSED:
        return self._close(self.of[entity.kind], now)
    return _failed(self, entity, outcome, now, pending, counts=counts)


def _nobody_spared(_: CircuitBreakers, __: Kind, ___: Outcome, *, own_fault: bool) -> bool:
    del own_fault
    return False


def _probed_by_the_same_one(self: EntityQueues, breaker: CircuitBreaker, _: float) -> EntityQueue | None:
    able = (
        queue
        for queue in self._queues.values()
        if queue.in_flight is None and not queue.waiting[0].event.owner.held and queue.entity.kind in breaker.covers
    )
    return next(able, None)


def _not_confirmed(self: Settling, queue: EntityQueue, slot: Slot, now: float) -> SettleResult:
    del now
    self._deliver(queue, slot.event)
    return SettleResult(first=True)


def _emptied_ignored(_: DeliveryQueue, __: Entity, ___: OwnedPartition, ____: float) -> None:
    return None


def _emptied_confirmation_dropped(self: DeliveryQueue, entity: Entity, owner: OwnedPartition, now: float) -> None:
    queue = self._queues.get(entity)
    for slot in queue.waiting if queue is not None else []:
        slot.confirming = False
    _empty(self, entity, owner, now)


def _emptied_retried(self: DeliveryQueue, entity: Entity, owner: OwnedPartition, now: float) -> None:
    queue = self._queues.get(entity)
    _empty(self, entity, owner, now)
    if queue is not None and queue.in_flight is not None:
        queue.in_flight.emptied = False


def _nothing_inherited(_: DeliveryQueue, __: Iterable[Partition], ___: float) -> None:
    return None


def _sent_without_a_note(self: OwnedPartition, now: float, *, skip_backlog: bool = False) -> bool:
    return skip_backlog or now >= self.catch_up_until or (self.end is not None and (self.position or 0) >= self.end)


def _settled_without_letter(self: Settling, letter: Letter) -> None:
    self._finish(letter.event)
    self.counts.rejected[letter.kind, letter.reason] += 1


def _dropped_when_retained(self: DeliveryQueue, partitions: list[Partition], now: float) -> list[Partition]:
    self.release(partitions, "revoked", now)
    new = _assign(self, partitions, now)
    return [partition for partition in new if partition not in self.owned]


def _forgotten_before_it_is_committed(self: OwnedPartitions) -> None:
    for owner in [owner for owner in self.active if owner.dirty and not owner.catching_up and not owner.unsettled]:
        del self.active[owner]


def _replaced_across_partitions(self: EntityQueue, _: OwnedPartition) -> Slot | None:
    return self.waiting[0] if self.waiting else None


def _bounds_ignored(_: DeliveryQueue) -> None:
    return None


def _held_back_ones_sent(_: OwnedPartition) -> bool:
    return False


def _released_but_counted(_: Settling, event: Any) -> None:
    del event.owner.unsettled[event.offset]  # and its bytes are never given back


def _others_starve(self: EntityQueues, now: float, kinds: tuple[Kind, ...]) -> EntityQueue | None:
    return self.first(now, kinds, urgent=True) or self.first(now, kinds)


def _calls_passed_over(self: EntityQueues, now: float, kinds: tuple[Kind, ...]) -> EntityQueue | None:
    return self.first(now, kinds) or self.first(now, kinds, urgent=True)


def _calls_ended_with_any_partition(self: Calls, _: tuple[str, int]) -> None:
    self._until.clear()


def _link_lost(self: Settling, old: QueuedEvent, new: QueuedEvent) -> None:
    own = new.link
    _hand_on(self, old, new)
    if new.link is not None:
        self.let_go(new, new.owner)
    new.link = own


def _link_committed_past(self: Settling, old: QueuedEvent, new: QueuedEvent) -> None:
    _hand_on(self, old, new)
    if new.link is not None:
        self.let_go(new, new.owner)
        new.link = Link(*(said and said._replace(offset=new.offset) for said in new.link))


_hand_on = Settling._hand_on

MUTANTS: Final[dict[str, Plant]] = {
    "1-committed-from-seen": (OwnedPartition, "committable", _committed_from_seen),
    "1-no-epoch": (OwnedPartitions, "revoke", _without_epoch),
    "1-dropped-below-the-cut": (OwnedPartitions, "truncate", _dropped_below_the_cut),
    "1-retained-dropped": (DeliveryQueue, "assign", _dropped_when_retained),
    "1-replaced-across-partitions": (EntityQueue, "slot_of", _replaced_across_partitions),
    "2-not-confirmed": (Settling, "_accepted", _not_confirmed),
    "2-emptied-cart-ignored": (DeliveryQueue, "_empty", _emptied_ignored),
    "2-emptied-cart-drops-a-confirmation": (DeliveryQueue, "_empty", _emptied_confirmation_dropped),
    "2-emptied-cart-in-flight-is-retried": (DeliveryQueue, "_empty", _emptied_retried),
    "2-nothing-inherited": (DeliveryQueue, "found_dirty", _nothing_inherited),
    "2-sent-without-a-note": (OwnedPartition, "caught_up", _sent_without_a_note),
    "3-two-in-flight": (EntityQueues, "schedule", _two_in_flight),
    "3-older-after-newer": (DeliveryQueue, "add", _the_last_one_first),
    "4-bounds-ignored": (DeliveryQueue, "full", _bounds_ignored),
    "4-bytes-not-given-back": (Settling, "_finish", _released_but_counted),
    "5-forgotten-before-it-is-committed": (OwnedPartitions, "forget_resting", _forgotten_before_it_is_committed),
    "7-settled-without-letter": (Settling, "reject", _settled_without_letter),
    "9-attempt-counted-by-a-probe": (Settling, "_count_attempt", _counted_by_probes),
    "9-attempt-counted-by-an-outage": (Settling, "_count_attempt", _counted_by_outages),
    "9-attempt-counted-for-the-other-kind": (Settling, "answers_of_others", _counted_for_the_other_kind),
    "9-closed-by-success-only": (CircuitBreakers, "_rejected", _closed_by_success_only),
    "9-closed-by-a-refused-key": (CircuitBreakers, "_failed", _closed_by_a_refused_key),
    "9-probe-settles-in-rejections": (CircuitBreakers, "spares", _nobody_spared),
    "9-one-entity-probes": (EntityQueues, "to_probe", _probed_by_the_same_one),
    "10-calls-starve-others": (EntityQueues, "due", _others_starve),
    "10-calls-passed-over": (EntityQueues, "due", _calls_passed_over),
    "10-calls-end-with-any-partition": (Calls, "end", _calls_ended_with_any_partition),
    "10-link-lost-in-a-collapse": (Settling, "_hand_on", _link_lost),
    "10-link-committed-past": (Settling, "_hand_on", _link_committed_past),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    where, method, bug = MUTANTS[name]
    with patch.object(where, method, bug):
        yield
