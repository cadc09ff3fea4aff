"""What becomes of an event once it was tried, or need not be: settled, replaced, or tried again later.

Rules: the event contract's section on delivery, attempts and the confirming resend. The outbox asks, and moves the
lanes.
"""

from dataclasses import dataclass, field
from typing import Final

from worker.core.calls import CALL_RETRY, inherited
from worker.core.circuit_breaker import KINDS
from worker.core.counts import Counts
from worker.core.event import Kind
from worker.core.lane import Delivery, Lane, QueuedEvent, Slot
from worker.core.letters import Letter, Letters
from worker.core.outcome import Outcome, Result
from worker.core.ownership import Ownership
from worker.core.rules import CONFIRM_AFTER, FAILED_LONG, LONGEST_RETRY_AFTER, OVERHEAD, Rules, Settled

#: The reason under which a probe is tried again although it was rejected: everything of its kind is.
SPARED: Final = "rejections"
#: These say nothing of the event.
_NO_FAILURES: Final = ("http_429", SPARED)
#: What nearly every request comes to; making one takes longer than deciding it.
_FIRST: Final = Settled(first=True)
_CONFIRMED: Final = Settled()


@dataclass(slots=True)
class Settling:
    """Keeps the account of what is unsettled. `answers`: delivered or rejected requests, by kind."""

    rules: Rules
    letters: Letters
    counts: Counts
    pending_bytes: int = 0
    answers: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def answers_of_others(self, lane: Lane) -> int:
        """How many requests of other entities of the kind were answered so far."""
        return self.answers[lane.entity.kind] - lane.answers

    def admit(self, event: QueuedEvent) -> None:
        """From now on the event is unsettled."""
        self.pending_bytes += event.size

    def supersede(self, lane: Lane, slot: Slot, event: QueuedEvent) -> None:
        """The slot's event is settled by its successor; one that only awaited its confirmation was delivered."""
        if slot.confirming:
            self._deliver(lane, slot.event)
        elif slot.event.link is not None:
            self._hand_on(slot.event, event)
        else:
            self.collapse(lane, slot.event)
        slot.event, slot.attempts, slot.confirming, slot.emptied = event, 0, False, False
        slot.failing_since = None

    def reject(self, letter: Letter) -> None:
        """For good: at once, or once the letter is acknowledged."""
        if self.rules.dead_letters:
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

    def conclude(self, lane: Lane, delivery: Delivery, outcome: Outcome, now: float) -> Settled:
        """Finishes what was tried, or puts it back into its lane. Under a dead ownership it does neither."""
        if not delivery.event.owner.alive:
            return Settled(stale=True)
        if outcome.result is Result.DELIVERED:
            return self._accepted(lane, delivery.slot, now)
        if outcome.result is Result.REJECTED:
            attempts = delivery.slot.attempts + 1
            self.reject(Letter(delivery.event, *lane.entity, outcome.reason, outcome.message, attempts))
            return Settled()
        return self._failed(lane, delivery, outcome, now)

    def _accepted(self, lane: Lane, slot: Slot, now: float) -> Settled:
        own = slot.event.reading
        if slot.confirming:
            lane.suspects &= {own}
        elif not lane.waiting and (lane.suspects - {own} or now < slot.event.owner.unclear_until):
            slot.confirming = True
            slot.due = slot.not_before = now + CONFIRM_AFTER  # not as a probe either: early it would confirm nothing
            slot.attempts = slot.tries = 0
            slot.failing_since = None
            slot.mark = self.answers_of_others(lane)
            lane.waiting.append(slot)
            return _FIRST
        self._deliver(lane, slot.event)
        return _CONFIRMED if slot.confirming else _FIRST

    def _failed(self, lane: Lane, delivery: Delivery, outcome: Outcome, now: float) -> Settled:
        slot = delivery.slot
        self.counts.retries[outcome.reason] += 1
        self._count_attempt(lane, delivery, outcome, now)
        asked = min(outcome.retry_after or 0.0, LONGEST_RETRY_AFTER)
        slot.not_before = now + asked
        delay = self.rules.delay(slot.tries)
        slot.tries += outcome.reason != SPARED
        exhausted = slot.attempts >= self.rules.max_attempts
        newer = lane.slot_of(slot.event.owner)
        if newer is not None and now < lane.on_call_until:
            delay = min(delay, CALL_RETRY)
        slot.due = now + max(delay, asked)
        if newer is not None:
            lane.waiting.remove(newer)
            self.supersede(lane, slot, newer.event)  # it keeps the retry's time
            exhausted = False
        elif slot.emptied and not slot.confirming:
            self.collapse(lane, slot.event)
            return Settled(collapsed=True)
        elif exhausted and self.rules.dead_letters:
            before = "accepted once, but not confirmed; " if slot.confirming else ""
            message = f"{before}given up after {slot.attempts} attempts that counted; the last one: {outcome.message}"
            self.reject(Letter(slot.event, *lane.entity, "attempts_exhausted", message, slot.attempts))
            return Settled(exhausted=True, attempts=slot.attempts)
        lane.waiting.insert(0, slot)
        return Settled(retry_in=slot.due - now, exhausted=exhausted, attempts=slot.attempts)

    def _count_attempt(self, lane: Lane, delivery: Delivery, outcome: Outcome, now: float) -> None:
        """An attempt counts only if the API answered another entity of the kind since the previous one.

        So an outage, of one kind's endpoint too, makes no poison. Of what has failed for a day, answers of either kind
        count.
        """
        slot, others = delivery.slot, self.answers_of_others(lane)
        of_other_kind = sum(self.answers.values()) - self.answers[lane.entity.kind]
        failed_long = slot.failing_since is not None and now - slot.failing_since >= FAILED_LONG
        answered = others > slot.mark or (failed_long and of_other_kind > slot.mark_of_other_kind)
        if outcome.reason not in _NO_FAILURES and not delivery.probe and answered:
            slot.attempts += 1
        slot.mark, slot.mark_of_other_kind = others, of_other_kind
        if slot.failing_since is None and outcome.reason not in _NO_FAILURES:
            slot.failing_since = now

    def _deliver(self, lane: Lane, event: QueuedEvent) -> None:
        self._finish(event)
        self.counts.delivered[lane.entity.kind] += 1

    def collapse(self, lane: Lane, event: QueuedEvent) -> None:
        """The event is settled because a newer one took its place, or emptied its cart."""
        self._finish(event)
        self.counts.collapsed[lane.entity.kind] += 1

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

    def let_go(self, event: QueuedEvent, owner: Ownership) -> None:
        """Nobody carries any more what the event did: it is settled, or has gone with the end of its log."""
        if event.link is not None:
            self._collapse_at(owner, event.link.carried(event.offset) & owner.unsettled.keys())

    def _collapse_at(self, owner: Ownership, offsets: set[int]) -> None:
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
