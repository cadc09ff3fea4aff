"""What one poll brought of a partition, collapsed before it comes into the outbox."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from worker.core.event import Entity, Event, Invalid, Kind, Skipped


class Batch(NamedTuple):
    """`kept`: places of what goes in, in log order. `overtaken`: how many events of each kind need not."""

    kept: list[int]
    overtaken: Counter[Kind]


def collapse(decoded: Sequence[Event | Skipped | Invalid]) -> Batch:
    """Keeps of each entity the newest event, unless its cart was emptied after that, and all that is no event.

    The result is as if each had come in at the same moment: the last record is always kept, so that the position
    passes the overtaken ones. Only an emptied cart takes older events with it; other skipped or invalid records don't.
    """
    newest: dict[Entity, int] = {}
    others: list[int] = []
    kinds: list[Kind] = []
    for at, one in enumerate(decoded):
        if one.__class__ is Event:  # cheaper than isinstance(), and this runs for every record
            newest[one.entity] = at
            kinds.append(one.entity[0])
        else:
            others.append(at)
            if one.__class__ is Skipped and one.reason == "empty_products" and one.entity is not None:
                newest.pop(one.entity, None)
    if len(kinds) == len(newest):
        return Batch(list(range(len(decoded))), Counter())
    overtaken = Counter(kinds) - Counter(entity.kind for entity in newest)
    return Batch(sorted((*newest.values(), *others)), overtaken)
