"""What one poll brought of a partition, collapsed before it comes into the delivery queue."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from worker.core.event import Entity, Event, Invalid, Kind, Skipped


class Batch(NamedTuple):
    """`kept`: places of what goes in, in log order. `overtaken`: how many events of each kind need not.

    `events`: how many there are altogether; `calls`: how many of them have a link to a call.
    """

    kept: list[int]
    overtaken: Counter[Kind]
    events: int = 0
    calls: int = 0


def collapse(decoded: Sequence[Event | Skipped | Invalid]) -> Batch:
    """Keeps of each entity the newest event, unless its cart was emptied after that, and all that is no event.

    The result is as if each had come in at the same moment: the last record is always kept, so that the position
    passes the overtaken ones. Only an emptied cart takes older events with it; other skipped or invalid records don't.
    An event with a link to a call is kept: the delivery queue hands that on to the newer one.
    """
    newest: dict[Entity, int] = {}
    others: list[int] = []
    kinds: list[Kind] = []
    calls: list[tuple[int, Entity]] = []
    for at, one in enumerate(decoded):
        if one.__class__ is Event:  # cheaper than isinstance(), and this runs for every record
            newest[one.entity] = at
            kinds.append(one.entity[0])
            if one.call_id is not None or one.agent is not None:
                calls.append((at, one.entity))
        else:
            others.append(at)
            if one.__class__ is Skipped and one.reason == "empty_products" and one.entity is not None:
                newest.pop(one.entity, None)
    if len(kinds) == len(newest):
        return Batch(list(range(len(decoded))), Counter(), len(kinds), len(calls))
    overtaken = Counter(kinds) - Counter(entity.kind for entity in newest)
    older = [(at, entity) for at, entity in calls if newest.get(entity) != at]
    overtaken -= Counter(entity.kind for _, entity in older)
    return Batch(sorted((*newest.values(), *(at for at, _ in older), *others)), overtaken, len(kinds), len(calls))
