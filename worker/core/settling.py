"""What becomes of an event: settled, collapsed, or tried again later.

Rules: the event contract's section on delivery, attempts and the confirming resend.
"""

from dataclasses import dataclass, field
from typing import Final

from worker.core.calls import CALL_RETRY, inherited
from worker.core.circuit_breaker import KINDS
from worker.core.counts import Counts
from worker.core.delivery_config import (
    CONFIRM_AFTER,
    FAILED_LONG,
    LONGEST_RETRY_AFTER,
    OVERHEAD,
    DeliveryConfig,
    SettleResult,
)
from worker.core.event import Kind
from worker.core.letters import Letter, Letters
from worker.core.outcome import Outcome, Result
from worker.core.state import Attempt, EntityQueue, OwnedPartition, QueuedEvent, Slot

#: The reason under which a probe is tried again although it was rejected: everything of its kind is.
SPARED: Final = "rejections"
#: These say nothing of the event.
_NO_FAILURES: Final = ("http_429", SPARED)
#: What nearly every request comes to; making one takes longer than deciding it.
_FIRST: Final = SettleResult(first=True)
_CONFIRMED: Final = SettleResult()


@dataclass(slots=True)
class Settling:
    """Keeps the account of what is unsettled. `answers`: delivered or rejected requests, by kind."""

    config: DeliveryConfig
    letters: Letters
    counts: Counts
    pending_bytes: int = 0
    answers: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def answers_of_others(self, queue: EntityQueue) -> int:
        """How many requests of other entities of the kind were answered so far."""
        return self.answers[queue.entity.kind] - queue.answers

    def admit(self, event: QueuedEvent) -> None:
        """From now on the event is unsettled."""
        self.pending_bytes += event.size

    def supersede(self, queue: EntityQueue, slot: Slot, event: QueuedEvent) -> None:
        """The slot's event is settled by its successor; one that only awaited its confirmation was delivered."""
        if slot.confirming:
            self._deliver(queue, slot.event)
        elif slot.event.link is not None:
            self._hand_on(slot.event, event)
        else:
            self.collapse(queue, slot.event)
        slot.event, slot.attempts, slot.confirming, slot.emptied = event, 0, False, False
        slot.failing_since = None

    def reject(self, letter: Letter) -> None:
        """For good: at once, or once the letter is acknowledged."""
        if self.config.dead_letters:
            self.letters.add(letter)
        else:
            self._finish(letter.event)
            self.counts.rejected[letter.kind, letter.reason] += 1

    def letter_written(self, letter: Letter) -> None:
        """The dead letter is acknowledged: its event is settled, unless it is somebody else's by now."""
        self.letters.done(letter)
        self.counts.letters[letter.reason] += 1
        if letter.event.owner.alive:
            self._finish(letter.event)
            self.counts.rejected[letter.kind, letter.reason] += 1

    def forget(self, event: QueuedEvent) -> None:
        """The event is settled, or somebody else's."""
        self.pending_bytes -= event.size

    def conclude(self, queue: EntityQueue, attempt: Attempt, outcome: Outcome, now: float) -> SettleResult:
        """Finishes what was tried, or puts it back into its queue. Under a former assignment it does neither."""
        if not attempt.event.owner.alive:
            return SettleResult(stale=True)
        if outcome.result is Result.DELIVERED:
            return self._accepted(queue, attempt.slot, now)
        if outcome.result is Result.REJECTED:
            attempts = attempt.slot.attempts + 1
            self.reject(Letter(attempt.event, *queue.entity, outcome.reason, outcome.message, attempts))
            return SettleResult()
        return self._failed(queue, attempt, outcome, now)

    def _accepted(self, queue: EntityQueue, slot: Slot, now: float) -> SettleResult:
        own = slot.event.record_id
        if slot.confirming:
            queue.ambiguous_records &= {own}
        elif not queue.waiting and (queue.ambiguous_records - {own} or now < slot.event.owner.ambiguous_until):
            slot.confirming = True
            slot.due = slot.not_before = now + CONFIRM_AFTER  # not as a probe either: early it would confirm nothing
            slot.attempts = slot.consecutive_failures = 0
            slot.failing_since = None
            slot.answers_seen = self.answers_of_others(queue)
            queue.waiting.append(slot)
            return _FIRST
        self._deliver(queue, slot.event)
        return _CONFIRMED if slot.confirming else _FIRST

    def _failed(self, queue: EntityQueue, attempt: Attempt, outcome: Outcome, now: float) -> SettleResult:
        slot = attempt.slot
        self.counts.retries[outcome.reason] += 1
        self._count_attempt(queue, attempt, outcome, now)
        asked = min(outcome.retry_after or 0.0, LONGEST_RETRY_AFTER)
        slot.not_before = now + asked
        delay = self.config.delay(slot.consecutive_failures)
        slot.consecutive_failures += outcome.reason != SPARED
        exhausted = slot.attempts >= self.config.max_attempts
        newer = queue.slot_of(slot.event.owner)
        if newer is not None and now < queue.on_call_until:
            delay = min(delay, CALL_RETRY)
        slot.due = now + max(delay, asked)
        if newer is not None:
            queue.waiting.remove(newer)
            self.supersede(queue, slot, newer.event)  # it keeps the retry's time
            exhausted = False
        elif slot.emptied and not slot.confirming:
            self.collapse(queue, slot.event)
            return SettleResult(collapsed=True)
        elif exhausted and self.config.dead_letters:
            before = "accepted once, but not confirmed; " if slot.confirming else ""
            message = f"{before}given up after {slot.attempts} attempts that counted; the last one: {outcome.message}"
            self.reject(Letter(slot.event, *queue.entity, "attempts_exhausted", message, slot.attempts))
            return SettleResult(exhausted=True, attempts=slot.attempts)
        queue.waiting.insert(0, slot)
        return SettleResult(retry_in=slot.due - now, exhausted=exhausted, attempts=slot.attempts)

    def _count_attempt(self, queue: EntityQueue, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """An attempt counts only if the API answered another entity of the kind since the previous one.

        So an outage, of one kind's endpoint too, makes no poison. Of what has failed for a day, answers of either kind
        count.
        """
        slot, others = attempt.slot, self.answers_of_others(queue)
        of_other_kind = sum(self.answers.values()) - self.answers[queue.entity.kind]
        failed_long = slot.failing_since is not None and now - slot.failing_since >= FAILED_LONG
        answered = others > slot.answers_seen or (failed_long and of_other_kind > slot.answers_seen_of_other_kind)
        if outcome.reason not in _NO_FAILURES and not attempt.probe and answered:
            slot.attempts += 1
        slot.answers_seen, slot.answers_seen_of_other_kind = others, of_other_kind
        if slot.failing_since is None and outcome.reason not in _NO_FAILURES:
            slot.failing_since = now

    def _deliver(self, queue: EntityQueue, event: QueuedEvent) -> None:
        self._finish(event)
        self.counts.delivered[queue.entity.kind] += 1

    def collapse(self, queue: EntityQueue, event: QueuedEvent) -> None:
        """The event is settled because a newer one took its place, or emptied its cart."""
        self._finish(event)
        self.counts.collapsed[queue.entity.kind] += 1

    def _hand_on(self, old: QueuedEvent, new: QueuedEvent) -> None:
        """The newer event takes the older one's place, and its link as far as it may.

        A record whose link is carried stays unsettled, so that whoever reads on from the committed offset reads it too.
        """
        link, old.link = old.link, None
        assert link is not None  # noqa: S101 - for the type checker
        new.link = inherited(link, new.link, new.written_at)
        carried = set() if new.link is None else new.link.carried(new.offset)
        self._collapse_at(old.owner, {old.offset, *link.carried(old.offset)} - carried)
        if old.offset in carried:
            smaller = OVERHEAD + link.size(old.offset)
            self.pending_bytes -= old.size - smaller
            old.size, old.payload = smaller, None

    def let_go(self, event: QueuedEvent, owner: OwnedPartition) -> None:
        """Nobody carries any more what the event did: it is settled, or has gone with the end of its log."""
        if event.link is not None:
            self._collapse_at(owner, event.link.carried(event.offset) & owner.unsettled.keys())

    def _collapse_at(self, owner: OwnedPartition, offsets: set[int]) -> None:
        for offset in offsets:
            event = owner.unsettled.pop(offset)
            assert event.entity is not None  # noqa: S101 - for the type checker
            self.forget(event)
            self.counts.collapsed[event.entity.kind] += 1

    def _finish(self, event: QueuedEvent) -> None:
        """The event is settled: its offset, and those whose links it carried, hold back no commit any more."""
        del event.owner.unsettled[event.offset]
        self.forget(event)
        if event.link is not None:
            self.let_go(event, event.owner)
