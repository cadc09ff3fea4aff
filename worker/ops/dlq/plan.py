"""What is to become of each chosen letter, and why. Pure: what it must know about Kafka it is told."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.core.state import Partition
from worker.ops.dlq.later import Later
from worker.ops.dlq.letter import DeadLetter, RecordPosition, instant

REDRIVES_AT_MOST = 3


class Fate(StrEnum):
    """`redrive` before it is done, `redriven` after; `failed`: the brokers did not take it."""

    REDRIVE = "redrive"
    REDRIVEN = "redriven"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True)
class Step:
    """One letter's fate. `detail` says why, or where it went."""

    letter: DeadLetter
    fate: Fate
    detail: str = ""

    def document(self) -> dict[str, object]:
        """For programs."""
        return self.letter.summary() | {"outcome": self.fate, "detail": self.detail}

    def row(self) -> tuple[object, ...]:
        letter = self.letter
        failed_at = instant(letter.failed_at)
        return (
            letter.where,
            failed_at,
            letter.reason,
            letter.name,
            letter.redrives,
            letter.origin,
            self.fate,
            self.detail,
        )


COLUMNS = ("letter", "failed at", "reason", "entity", "redrives", "record", "outcome", "detail")


def order(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """As their records stood in the log, so that of two states of one entity the newer one comes last again."""
    return sorted(letters, key=lambda letter: (letter.origin is None, letter.origin or letter.where, letter.where))


def plan(
    letters: Sequence[DeadLetter],
    later: Later,
    *,
    usable: Collection[Partition],
    dlq_topic: str,
    redrives_at_most: int,
    force: bool,
) -> list[Step]:
    """A step for each letter, in their order. `usable`: the partitions that exist."""
    newest = {letter.record: letter.where for letter in letters}
    steps = []
    for letter in letters:
        refusal = _refusal(letter, usable, dlq_topic, redrives_at_most)
        if refusal:
            steps.append(Step(letter, Fate.REFUSED, refusal))
        elif (twin := newest[letter.record]) != letter.where:
            steps.append(Step(letter, Fate.DUPLICATE, f"{twin} is of the same record"))
        else:
            steps.append(judged(letter, later, force=force))
    return steps


def judged(letter: DeadLetter, later: Later, *, force: bool) -> Step:
    """Whether it is superseded, as far as `later` has read."""
    if force:
        return Step(letter, Fate.REDRIVE)
    if later.displaced(letter):
        another = f"the log is not the one any more that {letter.origin} was in: it may be superseded (--force)"
        return Step(letter, Fate.REFUSED, another)
    newer, ours = later.of(letter), later.ours(letter)
    if ours is not None:
        return _returned(letter, ours.where, newer)
    if newer is not None:
        why = "is later" if letter.origin is None or newer > letter.origin else "is newer than what this is a copy of"
        return Step(letter, Fate.SUPERSEDED, f"{newer} {why}")
    if later.gap_after(letter):
        return Step(letter, Fate.REFUSED, "what came after it is deleted in part: it may be superseded (--force)")
    return Step(letter, Fate.REDRIVE)


def _returned(letter: DeadLetter, copy: RecordPosition, newer: RecordPosition | None) -> Step:
    """One whose copy is in the log. A run that did not come to its end left it behind what is newer, perhaps."""
    if newer is None:
        return Step(letter, Fate.SUPERSEDED, f"{copy} is later: its copy")
    if newer >= copy:
        return Step(letter, Fate.SUPERSEDED, f"{newer} is later")
    return Step(letter, Fate.REDRIVE, f"it is {copy} already, before which {newer} came: that goes behind it")


def _refusal(letter: DeadLetter, usable: Collection[Partition], dlq_topic: str, redrives_at_most: int) -> str:
    if letter.origin is None:
        return "its headers don't say where it is from"
    if letter.origin.topic == dlq_topic:
        return "it says that it is from the dead-letter topic itself"
    if letter.origin.at not in usable:
        return f"{letter.origin.at} does not exist, or is not to be seen or reached"
    if letter.redrives >= redrives_at_most:
        return f"redriven {letter.redrives} times already (--max-redrives {redrives_at_most})"
    return ""
