"""What is to become of each chosen letter, and why. Pure: records and ends of the log are passed in.

A letter holds an old state of its entity. What may be sent is the newest state that the log, or a letter, tells of:

1. The log is read from each letter on. In its own partition a record after it is later; in the topic's other
   partitions a record whose timestamp is not older is. Events and emptied carts count, the letter's own record too.
2. The newest of these is sent. Each letter of an older record is superseded by it.
3. A letter that is newer than all that the log holds has lost its record, and perhaps records after it. Nobody knows
   what was delivered since: it is refused, and so are older letters of its entity.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from worker.core.event import Entity, Event, Invalid, Skipped
from worker.core.state import Partition, RecordPosition
from worker.ops.dlq.letter import DeadLetter
from worker.ops.replay.range_scan import Refusal, State, entity_of

STALE = "its record is gone: what was delivered since may have been newer"


class Outcome(StrEnum):
    """`send` before it is done, `sent` after. `failed`: the API did not take it, or it is not checked."""

    SEND = "send"
    SENT = "sent"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    INVALID = "invalid"
    FAILED = "failed"


@dataclass(slots=True)
class Step:
    """What becomes of one letter. `detail` says why. `superseded_by`: the newer record of its entity."""

    letter: DeadLetter
    outcome: Outcome
    detail: str = ""
    superseded_by: RecordPosition | None = None


@dataclass(slots=True)
class Case:
    """One entity with its chosen letters, and valid ones that were not chosen (`others`).

    `states`: those of the chosen letters. `newest`: the newest of its records in the log that count. `found`: letters'
    records that are in the log. `displaced`: those at whose offset there is another one, or none yet.
    """

    letters: list[DeadLetter] = field(default_factory=list)
    others: list[DeadLetter] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    newest: State | None = None
    found: set[RecordPosition] = field(default_factory=set)
    displaced: set[RecordPosition] = field(default_factory=set)

    def meet(self, state: State) -> None:
        """A record of the entity that counts. Where times are equal, one that is no letter's is the newer one."""
        own = state.at in self.found
        if not own and not any(map(state.newer_than, self.states)):
            return
        if self.newest is None or (state.newer_than(self.newest) and not (own and self.newest.newer_than(state))):
            self.newest = replace(state, value=b"", key=None)

    @property
    def lost(self) -> DeadLetter | None:
        """The newest valid letter, if it is newer than all that the log holds: its own record is gone."""
        newest: DeadLetter | None = None
        for letter in (*self.letters, *self.others):
            known = letter.invalid is not None or letter.state.at in self.found
            if not known and (newest is None or letter.state.newer_than(newest.state)):
                newest = letter
        outdone = newest is not None and self.newest is not None and self.newest.newer_than(newest.state)
        return None if outdone else newest

    def refusal(self, lost: DeadLetter | None, held_up: Collection[str], *, accept_stale: bool) -> str:
        """Why nothing is sent of the entity, in words; empty: the newest state may be sent."""
        topics = {state.at.topic for state in self.states} & set(held_up)
        if topics:
            return f"an open transaction on {min(topics)} may hold something newer: run it again when that has ended"
        if lost is not None:
            return self._gone(lost, accept_stale=accept_stale)
        newest = self.newest
        elsewhere = [at for at in self.displaced if newest is not None and at[:2] != newest.at[:2]]
        if newest is not None and elsewhere:
            return f"{_displaced(elsewhere[0])}, and its partition may hold something newer than {newest.at}"
        return ""

    def _gone(self, lost: DeadLetter, *, accept_stale: bool) -> str:
        at = lost.state.at
        gone = _displaced(at) if at in self.displaced else f"{at} is not in the log any more"
        if lost not in self.letters:
            return f"{gone}, and letter {lost.where}, which was not chosen, is of that newer state"
        if lost.truncated:
            return f"{gone}, and its value was too large for a letter"
        return "" if accept_stale else f"{gone}: nobody knows what was delivered since (--accept-stale sends it)"

    def step(self, letter: DeadLetter, lost: DeadLetter | None, refusal: str) -> Step:
        """What becomes of one of the letters."""
        newest = self.newest if lost is None else lost.state
        if letter.invalid is None and refusal:
            return Step(letter, Outcome.REFUSED, refusal)
        if letter.invalid is not None and (refusal or newest is None or not newest.newer_than(letter.state)):
            return Step(letter, Outcome.INVALID, letter.invalid)
        assert newest is not None  # noqa: S101 - for the type checker: a valid letter is found, or lost
        if letter.invalid is None and newest.at == letter.state.at:
            return Step(letter, Outcome.SEND, "" if lost is None else STALE)
        then = "its cart was emptied, nothing is sent" if newest.emptied else "that is sent"
        return Step(letter, Outcome.SUPERSEDED, f"{newest.at} is newer: {then}", newest.at)


def _displaced(at: RecordPosition) -> str:
    return f"the topic was created anew: {at} is another record, or after the end"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be sent of an entity, and the steps that depend on it.

    `stale`: the letter whose value is sent, as its record is gone.
    """

    state: State
    steps: list[Step]
    stale: DeadLetter | None = None

    def finish(self, sent: State, refusal: Refusal | None) -> None:
        """`sent`: the entity's last state, which may be newer than the planned one. `refusal`: of the API."""
        for step in self.steps:
            own = step.outcome is Outcome.SEND and sent.at == self.state.at
            step.superseded_by = None if own else sent.at
            newer = "" if own else f"{sent.at} is newer"
            if refusal is not None:
                step.outcome = Outcome.FAILED
                step.detail = f"{newer and newer + ', and '}was refused: {refusal.reason}: {refusal.message}"
            elif sent.emptied:
                step.outcome, step.detail = Outcome.SUPERSEDED, f"{newer}: its cart was emptied, nothing is sent"
            elif own:
                step.outcome = Outcome.SENT
            else:
                step.outcome, step.detail = Outcome.SUPERSEDED, f"{newer}: that was sent"


class Plan:
    """Letters are added first, then the records of the log, in log order within each partition."""

    def __init__(
        self, letters: Iterable[DeadLetter], unusable: Mapping[str, str], partitions: Collection[Partition]
    ) -> None:
        """`unusable`: topics of which no letter is sent, with the reason. `partitions`: those that exist."""
        self.steps: list[Step] = []
        self.cases: dict[Entity, Case] = {}
        self._by_record: dict[RecordPosition, list[tuple[Entity, DeadLetter]]] = {}
        for letter in letters:
            refusal = _refusal(letter, unusable, partitions)
            entity = letter.event or letter.named
            if refusal:
                self.steps.append(Step(letter, Outcome.REFUSED, refusal))
            elif entity is None and letter.invalid is not None:
                self.steps.append(Step(letter, Outcome.INVALID, letter.invalid))
            elif entity is None:
                nameless = "it is truncated, and its headers name no cart or order"
                self.steps.append(Step(letter, Outcome.REFUSED, nameless))
            else:
                case = self.cases.setdefault(entity, Case())
                case.letters.append(letter)
                case.states.append(letter.state)
                self._by_record.setdefault(letter.state.at, []).append((entity, letter))

    def add_other(self, letter: DeadLetter) -> None:
        """A letter that was not chosen: it may tell of a newer state that the log has lost."""
        entity = letter.event
        if entity is None or entity not in self.cases or letter.renamed:
            return
        if letter.origin is not None and letter.timestamp is not None:
            self.cases[entity].others.append(letter)
            self._by_record.setdefault(letter.origin, []).append((entity, letter))

    def meet(self, state: State, decoded: Event | Skipped | Invalid) -> None:
        entity = entity_of(decoded)
        for of, letter in self._by_record.get(state.at, ()):
            self._meet_own(of, letter, state, decoded)
        case = None if entity is None else self.cases.get(entity)
        if case is not None:
            case.meet(state)

    def _meet_own(self, of: Entity, letter: DeadLetter, state: State, decoded: Event | Skipped | Invalid) -> None:
        """The record at a letter's offset. A topic that was created anew has another one there."""
        case = self.cases[of]
        same_key = letter.key == state.key or (letter.truncated and letter.key is None)
        if state.timestamp != letter.timestamp or not same_key:
            case.displaced.add(state.at)
        elif isinstance(decoded, Event) and decoded.entity == of:
            case.found.add(state.at)
        elif letter.truncated:
            self._take_out(case, letter, decoded)

    def _take_out(self, case: Case, letter: DeadLetter, decoded: Event | Skipped | Invalid) -> None:
        """A truncated letter whose value, now that it is read, can't be sent."""
        if isinstance(decoded, Event):
            case.letters.remove(letter)
            self.steps.append(Step(letter, Outcome.REFUSED, _renamed(letter, decoded.entity)))
            return
        why = decoded.message if isinstance(decoded, Invalid) else f"nothing to send ({decoded.reason})"
        case.letters[case.letters.index(letter)] = replace(letter, invalid=why)

    def judge(
        self, ends: Mapping[Partition, int], held_up: Collection[str], *, accept_stale: bool
    ) -> dict[Entity, Target]:
        """What is to be sent. `steps` has all letters' then.

        `ends`: where the log ends. `held_up`: topics with an open transaction. `accept_stale`: send the value of a
        letter whose record is gone.
        """
        targets = {}
        for entity, case in self.cases.items():
            case.displaced |= {state.at for state in case.states if state.at.offset >= ends[Partition(*state.at[:2])]}
            lost = case.lost
            refusal = case.refusal(lost, held_up, accept_stale=accept_stale)
            steps = [case.step(letter, lost, refusal) for letter in case.letters]
            self.steps += steps
            newest = case.newest if lost is None else lost.state
            sending = [step for step in steps if step.outcome is not Outcome.INVALID]
            if newest is not None and sending and not refusal and not newest.emptied:
                # Where the topic was created anew, what comes next has a lower offset, and is newer all the same.
                offset = min(newest.at.offset, ends[Partition(*newest.at[:2])] - 1)
                targets[entity] = Target(replace(newest, at=newest.at._replace(offset=offset)), sending, lost)
        self.steps.sort(key=lambda step: (step.letter.origin is None, step.letter.origin or step.letter.where))
        return targets


def _refusal(letter: DeadLetter, unusable: Mapping[str, str], partitions: Collection[Partition]) -> str:
    """Why a letter is refused before the log is read; empty: it is not."""
    if letter.origin is None or letter.timestamp is None:
        return "its headers don't say which record it is of"
    topic, number, _ = letter.origin
    if topic in unusable:
        return f"topic {topic} {unusable[topic]}"
    if Partition(topic, number) not in partitions:
        return f"topic {topic} has no partition {number}"
    if letter.renamed and letter.event is not None:
        return _renamed(letter, letter.event)
    return ""


def _renamed(letter: DeadLetter, entity: Entity) -> str:
    return f"it was of {letter.name or letter.entity}, and would be sent as {entity}: was WORKER_ID_PREFIXES changed?"
