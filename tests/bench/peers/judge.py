"""What became of the events, from what was written and what the API saw; the same for every program."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.api import Seen


@dataclass(frozen=True)
class Event:
    """`at`: when it was sent (UNIX seconds)."""

    id: str
    version: int
    at: float


def ages(events: Sequence[Event], log: Sequence[Seen], until: float) -> list[float]:
    """For each event the time until the API had accepted it or a newer state of its id; `until` if it never did.

    So nobody gains by sending every state, and nobody loses by sending the newest only.
    """
    answers = _accepted(log)
    found = []
    for event in events:
        times = [each.answered for each in answers[event.id] if each.version >= event.version]
        found.append(min(times, default=until) - event.at)
    return found


def covered(events: Sequence[Event], log: Sequence[Seen]) -> int:
    """Events of which the API has accepted the state, or a newer one."""
    newest = {name: max(each.version for each in own) for name, own in _accepted(log).items()}
    return sum(event.version <= newest.get(event.id, -1) for event in events)


def backwards(log: Sequence[Seen]) -> int:
    """Requests with an older state than one that had arrived before."""
    newest: dict[str, int] = {}
    count = 0
    for each in sorted(log, key=lambda each: each.arrived):
        count += each.version < newest.get(each.id, -1)
        newest[each.id] = max(each.version, newest.get(each.id, -1))
    return count


def at_once(log: Sequence[Seen]) -> int:
    """Requests that arrived while another one of their id was being answered."""
    busy: dict[str, float] = {}
    count = 0
    for each in sorted(log, key=lambda each: each.arrived):
        count += each.arrived < busy.get(each.id, 0.0)
        busy[each.id] = max(each.answered or each.arrived, busy.get(each.id, 0.0))
    return count


def lost(events: Sequence[Event], log: Sequence[Seen]) -> int:
    """Ids whose newest state the API never accepted."""
    answers = _accepted(log)
    return sum(max((each.version for each in answers[name]), default=-1) < v for name, v in _newest(events).items())


def stale(events: Sequence[Event], log: Sequence[Seen]) -> int:
    """Ids whose newest state was accepted, and an older one after it."""
    answers = _accepted(log)
    return sum(
        answers[name][-1].version < version <= max(each.version for each in answers[name])
        for name, version in _newest(events).items()
        if answers[name]
    )


def again(log: Sequence[Seen]) -> int:
    """Requests beyond the first for the same state."""
    return len(log) - len({(each.id, each.version) for each in log})


def _newest(events: Sequence[Event]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in events:
        found[event.id] = max(event.version, found.get(event.id, -1))
    return found


def _accepted(log: Sequence[Seen]) -> dict[str, list[Seen]]:
    """By id, in the order of the answers."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for each in sorted(log, key=lambda each: each.answered):
        if each.answered and each.status == 200:
            found[each.id].append(each)
    return found
