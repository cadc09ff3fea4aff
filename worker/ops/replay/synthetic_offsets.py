"""The delivery queue as a replay uses it: one partition of its own, and numbers for offsets. Pure."""

from collections.abc import Iterable

from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Entity, Skipped
from worker.core.state import Partition, RecordPosition
from worker.ops.replay.range_scan import Refusal, State

_OWN = Partition("replay", 0)
_LETTERS_AT_ONCE = 1000


class SyntheticOffsets:
    """What was handed to a delivery queue, and under which number. Pure.

    States are numbered as they are handed out, as if they were the offsets of one partition: so a newer state replaces
    an older one of its entity, wherever on the topic the two stand.
    """

    def __init__(self, deliveries: DeliveryQueue, now: float) -> None:
        self._last = 0
        self._numbers: dict[Entity, int] = {}
        self._states: dict[int, State] = {}
        deliveries.assign([_OWN], now)
        deliveries.advance(_OWN, 0, now)
        deliveries.committed({_OWN: 0}, now)  # nobody owns it next who would have to be told before anything is sent
        deliveries.set_end(_OWN, 0, now)

    def send(
        self, deliveries: DeliveryQueue, states: Iterable[tuple[Entity, State]], now: float, wall_now: float
    ) -> None:
        """Each replaces an older one of its entity that is not under way yet; an emptied cart drops it.

        `wall_now`: the same moment in UNIX seconds.
        """
        for entity, state in states:
            self._last += 1
            if state.emptied:
                deliveries.skip(_OWN, self._last, Skipped("empty_products", entity.kind, entity), now)
                continue
            self._states.pop(self._numbers.get(entity, 0), None)
            self._numbers[entity], self._states[self._last] = self._last, state
            size, written_at = len(state.value), state.timestamp / 1000
            deliveries.add(
                _OWN,
                self._last,
                entity,
                state,
                size=size,
                occurred_at=written_at,
                now=now,
                age=wall_now - written_at,
                call_id=state.call_id,
                agent=state.agent,
            )

    def idle(self, deliveries: DeliveryQueue, entities: Iterable[Entity]) -> list[Entity]:
        """Those of which nothing is in flight or planned any more.

        The newest number does not tell: it may have been dropped while an older one is in flight.
        """
        pending = {event.entity for event in deliveries.owned[_OWN].unsettled.values()}
        idle = [entity for entity in entities if entity not in pending]
        for entity in idle:
            self._states.pop(self._numbers.pop(entity, 0), None)
        return idle

    def given_up(self, deliveries: DeliveryQueue, now: float) -> list[tuple[Entity, Refusal]]:
        """What was rejected, or failed too often, since the last call."""
        letters = deliveries.letters.take(now, _LETTERS_AT_ONCE)
        for letter in letters:
            deliveries.letter_written(letter)
        return [
            (letter.event.entity, Refusal(letter.event.payload.at, letter.kind, letter.reason, letter.message))
            for letter in letters
            if letter.event.entity is not None
        ]

    def at(self, number: int) -> RecordPosition | None:
        """Where the state of that number stands on the topic, if it was not replaced or settled."""
        state = self._states.get(number)
        return None if state is None else state.at
