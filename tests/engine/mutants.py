"""Known bugs, planted in the engine one at a time: its state machine must find each of them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import structlog

from worker.core.batch import Batch, collapse
from worker.core.calls import Link
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Event, Invalid, Skipped
from worker.core.letters import Letter
from worker.core.outcome import Outcome
from worker.core.owned_partitions import OwnedPartitions
from worker.core.state import Attempt, Partition
from worker.engine import intake
from worker.engine.commits import Commits
from worker.engine.intake import Intake
from worker.engine.rebalance import Rebalancer
from worker.engine.sender import Sender
from worker.engine.shared_queue import SharedQueue
from worker.ports import Consumer, Record, UnavailableError

#: What is replaced: the class or module, its method or function, and the bug's own version of it.
Plant = tuple[Any, str, Callable[..., Any] | property]

_answered, _tick, _now = Commits._answered, Commits.tick, Commits.now
_turn, _take_in, _pause, _advance = Intake.turn, Intake._take_in, Intake._pause, Intake._advance
_send, _letters_written, _skip, _moved = (
    Sender._send,
    SharedQueue.letters_written,
    DeliveryQueue.skip,
    DeliveryQueue.advance,
)
_sender_turn = Sender._turn


def _believed_late(self: Commits, offsets: Mapping[Partition, int], _: int, error: Exception | None) -> None:
    _answered(self, offsets, self.queue._deliveries.handovers, error)


def _positions_committed(self: Commits, consumer: Consumer, now: float) -> None:
    def positions(deliveries: DeliveryQueue) -> dict[Partition, int]:
        return {
            partition: owner.position for partition, owner in deliveries.owned.items() if owner.position is not None
        }

    with patch.object(DeliveryQueue, "committable", positions):
        _tick(self, consumer, now)


def _nothing_unclear(*_: object) -> set[Partition]:
    return set()


def _stopped_without_note(self: Commits, consumer: Consumer, timeout: float) -> UnavailableError | None:
    with patch.object(DeliveryQueue, "ambiguous", _nothing_unclear):
        return _now(self, consumer, timeout)


def _nothing_inherited(_: Rebalancer, __: Iterable[Partition]) -> None:
    return None


def _never_released(_: Rebalancer, __: Iterable[Partition], ___: str) -> None:
    return None


def _last_commit_taken_for_granted(
    self: Rebalancer, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], error: Exception | None
) -> None:
    self._commit_counted(error)
    with self._queue.locked() as deliveries:
        deliveries.committed(offsets, self._queue.clock())
    del ambiguous


def _never_doubted(_: DeliveryQueue, __: Iterable[Partition]) -> None:
    return None


def _never_suspended(_: Rebalancer, __: Iterable[Partition]) -> None:
    return None


def _taken_in_while_draining(self: Intake, consumer: Consumer, *, draining: bool = False) -> None:
    del draining
    _turn(self, consumer)


def _never_paused(self: Intake, consumer: Consumer, *, draining: bool) -> None:
    _pause(self, consumer, draining=draining)
    consumer.pause(draining)


def _first_of_a_batch_twice(self: Intake, partition: Partition, records: list[Record]) -> None:
    _take_in(self, partition, records)
    if len(records) > 2:
        with self.queue.locked() as deliveries:
            deliveries.overtaken(partition, "cart", 1)


def _positions_of_what_has_records_only(self: Intake, consumer: Consumer) -> None:
    with patch.object(consumer, "moved", list):
        _advance(self, consumer)


def _moved_without_a_mark(self: DeliveryQueue, partition: Partition, position: int, now: float) -> int | None:
    with patch.object(OwnedPartitions, "touch", lambda *_: None):
        return _moved(self, partition, position, now)


def _lease_for_ever(self: Intake, _: float, __: float) -> None:
    with self.queue.locked() as deliveries:
        deliveries.lease_until = float("inf")


def _refused_forgotten(_: Intake, deliveries: DeliveryQueue, partition: Partition, record: Record, *__: object) -> None:
    deliveries.skip(partition, record.offset, Skipped("tombstone"), 0.0)


def _emptied_forgotten(self: DeliveryQueue, partition: Partition, offset: int, skipped: Skipped, now: float) -> bool:
    return _skip(self, partition, offset, Skipped(skipped.reason, skipped.kind), now)


async def _key_logged(self: Sender, attempt: Attempt) -> Outcome:
    structlog.get_logger().debug("a request", key=self.key.value)
    return await _send(self, attempt)


def _wake_up_lost(_: SharedQueue) -> None:
    return None


def _dies_in_silence(_: Sender, __: BaseException) -> None:
    return None


def _settled_twice(self: Sender) -> None:
    answered = list(self._answered)
    _sender_turn(self)
    self._answered[:0] = answered


def _failed_letters_settled(self: SharedQueue, written: list[Letter], failed: list[Letter]) -> None:
    _letters_written(self, written + failed, [])


def _links_overtaken(decoded: list[Event | Skipped | Invalid]) -> Batch:
    return collapse([one._replace(call_id=None) if isinstance(one, Event) else one for one in decoded])


def _link_not_sent(_: Link) -> tuple[str | None, str | None]:
    return None, None


MUTANTS: Final[dict[str, Plant]] = {
    "engine-1-late-answer-believed": (Commits, "_answered", _believed_late),
    "engine-1-position-committed": (Commits, "tick", _positions_committed),
    "engine-1-refused-forgotten": (Intake, "_refuse", _refused_forgotten),
    "engine-2-moved-without-a-note": (Rebalancer, "ambiguous", _nothing_unclear),
    "engine-2-stopped-without-a-note": (Commits, "now", _stopped_without_note),
    "engine-2-last-commit-taken-for-granted": (Rebalancer, "committed", _last_commit_taken_for_granted),
    "engine-2-last-commit-not-doubted": (DeliveryQueue, "doubt", _never_doubted),
    "engine-2-emptied-cart-forgotten": (DeliveryQueue, "skip", _emptied_forgotten),
    "engine-2-nothing-inherited": (Rebalancer, "found_dirty", _nothing_inherited),
    "engine-2-sent-without-a-lease": (Intake, "_renew", _lease_for_ever),
    "engine-3-never-released": (Rebalancer, "release", _never_released),
    "engine-3-never-suspended": (Rebalancer, "suspend", _never_suspended),
    "engine-4-never-paused": (Intake, "_pause", _never_paused),
    "engine-4-taken-in-while-draining": (Intake, "turn", _taken_in_while_draining),
    "engine-5-moves-without-a-record-ignored": (Intake, "_advance", _positions_of_what_has_records_only),
    "engine-5-moved-without-a-mark": (DeliveryQueue, "advance", _moved_without_a_mark),
    "engine-6-counted-twice": (Intake, "_take_in", _first_of_a_batch_twice),
    "engine-7-failed-letter-settled": (SharedQueue, "letters_written", _failed_letters_settled),
    "engine-loop-wake-up-lost": (SharedQueue, "_wake_sender", _wake_up_lost),
    "engine-loop-task-dies-in-silence": (Sender, "_fail", _dies_in_silence),
    "engine-loop-settled-twice": (Sender, "_turn", _settled_twice),
    "engine-8-key-logged": (Sender, "_send", _key_logged),
    "engine-10-link-overtaken-in-a-batch": (intake, "collapse", _links_overtaken),
    "engine-10-link-not-sent": (Link, "texts", property(_link_not_sent)),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    where, method, bug = MUTANTS[name]
    with patch.object(where, method, bug):
        yield
