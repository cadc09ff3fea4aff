"""`optico-worker dlq redrive`: letters go back to where they came from, as they were.

What may repeat: letters are written, acknowledged, and then remembered, in batches. Killed in between, a run leaves at
most one batch that is written and not remembered; the next run finds their copies in the log, which are later records
of the same entities, and skips them as superseded. So only a letter that has neither an entity nor a key, or is sent
with --force, can go twice.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from worker.adapters.kafka.admin import Admin, open_admin
from worker.adapters.kafka.reader import Reader
from worker.adapters.kafka.writer import NewRecord, Writer
from worker.core.event import Defaults
from worker.core.ownership import Partition
from worker.ops.dlq.later import Later
from worker.ops.dlq.letter import REDRIVES, Coordinates, DeadLetter
from worker.ops.dlq.memory import Memory
from worker.ops.dlq.plan import Fate, Step, judged, order, plan
from worker.ops.dlq.report import report
from worker.ops.dlq.shelf import Selection, Shelf
from worker.ops.dlq.stop import stopping
from worker.ops.terminal import progress
from worker.ports import FatalError, Record, UnavailableError
from worker.settings import Kafka

#: Letters between two commits: so many may be written and not yet remembered.
BATCH = 50
#: So often a state is written again that came while it was written.
REPEATS_AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Orders:
    """What the command was told. `again`: letters that are remembered as done, too."""

    topic: str
    selection: Selection
    redrives_at_most: int
    force: bool
    again: bool
    execute: bool


def redrive(settings: Kafka, defaults: Defaults, orders: Orders, *, as_json: bool) -> int:
    """Prints what becomes of each chosen letter, also where it fails half-way; returns the exit code."""
    with open_admin(settings) as admin, Reader(settings) as reader:
        work = _Redrive(admin, reader, settings, defaults, orders)
        steps, stopped = work.plan(), False
        try:
            if orders.execute:
                with Writer(settings) as writer, stopping() as stop:
                    work.execute(steps, writer, stop)
                    stopped = stop.is_set()
        finally:
            report(steps, orders.topic, work.memory.group, executed=orders.execute, as_json=as_json)
    failed = any(step.fate is Fate.FAILED for step in steps)
    left = stopped and any(step.fate is Fate.REDRIVE for step in steps)
    return 1 if failed or left else 0


class _Redrive:
    def __init__(self, admin: Admin, reader: Reader, settings: Kafka, defaults: Defaults, orders: Orders) -> None:
        self._admin, self._orders = admin, orders
        self._shelf = Shelf(admin, reader, orders.topic)
        self._later = Later(admin, reader, defaults)
        self.memory = Memory(admin, settings.group_id)
        self._twins: dict[Coordinates, list[Coordinates]] = {}
        self._copies: dict[Coordinates, Coordinates] = {}
        self._repeated: dict[Coordinates, Coordinates] = {}
        self._offsets: dict[Partition, list[int]] = {at: [] for at in self._shelf.begins}

    def plan(self) -> list[Step]:
        """Reads the dead-letter topic and what came later on the original ones; changes nothing."""
        orders = self._orders
        chosen, others = self._letters()
        self._later.watch(chosen, others)
        usable = self._usable({letter.origin.topic for letter in chosen if letter.origin is not None})
        if not orders.force:
            self._read_on(chosen, usable)
        steps = plan(
            order(chosen),
            self._later,
            usable=usable,
            dlq_topic=orders.topic,
            redrives_at_most=orders.redrives_at_most,
            force=orders.force,
        )
        self._find_originals(steps)
        return steps

    def execute(self, steps: Sequence[Step], writer: Writer, stop: threading.Event) -> None:
        """Puts them back, batch by batch, until it is told to stop; a batch that has begun is finished."""
        for step in steps:
            if step.fate is Fate.DUPLICATE:
                self._twins.setdefault(_origin(step.letter), []).append(step.letter.where)
        going = [step for step in steps if step.fate is Fate.REDRIVE]
        with progress("redriving", len(going)) as moved:
            for start in range(0, len(going), BATCH):
                if stop.is_set():
                    return
                batch = going[start : start + BATCH]
                self._put_back(batch, writer)
                self._save()
                moved(len(batch))

    def _put_back(self, batch: list[Step], writer: Writer) -> None:
        records = self._records(batch)
        if not self._orders.force:  # somebody may have written since the plan was made
            self._look_again(batch)
            for step in batch:
                if (now := judged(step.letter, self._later, force=False)).fate is not Fate.REDRIVE:
                    step.fate, step.detail = now.fate, now.detail
            records = [(step, record) for step, record in records if step.fate is Fate.REDRIVE]
        for (step, record), answer in zip(records, writer.write([record for _, record in records]), strict=True):
            if isinstance(answer, str):
                step.fate, step.detail = Fate.FAILED, answer
                continue
            place = Coordinates(*record.partition, answer)
            step.fate, step.detail = Fate.REDRIVEN, f"it is {place} now"
            self._later.written(place)
            self._copies[step.letter.where] = place
            for done in (step.letter.where, *self._twins.get(_origin(step.letter), ())):
                self.memory.add(done)
        if not self._orders.force:
            self._repeat_overtaken([step for step in batch if step.fate is Fate.REDRIVEN], writer)

    def _look_again(self, steps: list[Step]) -> None:
        self._later.extend(self._later.extent({_origin(step.letter).at for step in steps}), lambda _: None)

    def _repeat_overtaken(self, steps: list[Step], writer: Writer) -> None:
        """What was written just before a copy, while nobody looked, would lose to it: it is written again, behind."""
        try:
            self._repeat_until_none_is_left(steps, writer)
        except (UnavailableError, FatalError) as error:
            for step in steps:
                step.fate = Fate.FAILED
                step.detail += f"; whether something newer was written before it can't be seen: {error}"
            raise

    def _repeat_until_none_is_left(self, steps: list[Step], writer: Writer) -> None:
        for _ in range(REPEATS_AT_MOST):
            self._look_again(steps)
            steps = [step for step in steps if self._overtaken(step) is not None]
            for step in steps:
                self._repeat(step, writer)
            steps = [step for step in steps if step.fate is Fate.REDRIVEN]
            if not steps:
                return
        for step in steps:
            step.fate, step.detail = Fate.FAILED, f"{step.detail}; its entity changes too often to be put back now"

    def _overtaken(self, step: Step) -> Coordinates | None:
        """A later record of the entity that stands before our copy, and is not what we have repeated."""
        newer, where = self._later.of(step.letter), step.letter.where
        overtaken = newer is not None and newer < self._copies[where] and newer != self._repeated.get(where)
        return newer if overtaken else None

    def _repeat(self, step: Step, writer: Writer) -> None:
        newer = self._overtaken(step)
        assert newer is not None  # noqa: S101 - for the type checker
        record = self._shelf.values([newer]).get(newer)
        headers = tuple((name, bytes(value or b"")) for name, value in record.headers) if record else ()
        (answer,) = writer.write([NewRecord(newer.at, record.key, record.value, headers)]) if record else ("deleted",)
        if isinstance(answer, str):
            step.fate = Fate.FAILED
            step.detail += f"; {newer} came meanwhile, is newer, and can't be written behind it: {answer}"
            return
        place = Coordinates(*newer.at, answer)
        step.detail += f", and {newer}, which came meanwhile, {place}"
        self._later.written(place)
        self._copies[step.letter.where], self._repeated[step.letter.where] = place, newer

    def _records(self, steps: list[Step]) -> list[tuple[Step, NewRecord]]:
        found = self._shelf.values([_place(step.letter) for step in steps])
        records = []
        for step in steps:
            letter, record = step.letter, found.get(_place(step.letter))
            if record is None:
                step.fate, step.detail = Fate.FAILED, f"{_place(letter)} has been deleted meanwhile"
            elif letter.truncated and not _same(letter, record):
                step.fate, step.detail = Fate.FAILED, f"{_place(letter)} is another record now"
            else:
                records.append((step, _new(letter, record)))
        return records

    def _letters(self) -> tuple[list[DeadLetter], list[DeadLetter]]:
        """Those that were chosen and are not done, and all others; without their values."""
        chosen: list[DeadLetter] = []
        others: list[DeadLetter] = []
        for letter in self._shelf.summaries(None if self._orders.again else self.memory.starts()):
            self._offsets[letter.where.at].append(letter.where.offset)
            wanted = letter in self._orders.selection and (self._orders.again or letter.where not in self.memory)
            (chosen if wanted else others).append(letter)
        return chosen, others

    def _usable(self, topics: set[str]) -> set[Partition]:
        found = self._admin.topics(topics).values()
        return {at for topic in found if topic.problem is None for at in topic.partitions if at not in topic.leaderless}

    def _read_on(self, letters: list[DeadLetter], usable: set[Partition]) -> None:
        partitions = {letter.origin.at for letter in letters if letter.origin is not None} & usable
        ranges = self._later.extent(partitions)
        with progress("reading what came later", sum(max(0, end - start) for start, end in ranges.values())) as step:
            self._later.extend(ranges, step)

    def _find_originals(self, steps: list[Step]) -> None:
        """A truncated letter has no value: it can go back only while its original is still there."""
        needed = [step for step in steps if step.letter.truncated and step.fate is Fate.REDRIVE]
        partitions = {_origin(step.letter).at for step in needed}
        begins, ends = self._admin.begins(partitions), self._admin.ends(partitions)
        for step in needed:
            origin = _origin(step.letter)
            if not begins[origin.at] <= origin.offset < ends[origin.at]:
                step.fate, step.detail = Fate.REFUSED, f"its value was too large for a letter, and {origin} is deleted"
            else:
                step.detail = f"its value is read from {origin}"

    def _save(self) -> None:
        self.memory.save(self._offsets, self._shelf.ends)


def _origin(letter: DeadLetter) -> Coordinates:
    """Of a letter that the plan has let pass: it has one."""
    assert letter.origin is not None  # noqa: S101 - for the type checker
    return letter.origin


def _place(letter: DeadLetter) -> Coordinates:
    """Where its value is."""
    return _origin(letter) if letter.truncated else letter.where


def _same(letter: DeadLetter, record: Record) -> bool:
    """Whether the truncated letter is of that record. A topic that was created anew has others at its offsets."""
    return record.timestamp == letter.timestamp and letter.key in (None, record.key)


def _new(letter: DeadLetter, record: Record) -> NewRecord:
    """Into its own partition, whatever the producer's partitioner was: an entity's states share one.

    The record is the letter, or the original one where the letter is truncated: it may lack key and headers too.
    """
    headers = (*DeadLetter.of(letter.where.at, record).own_headers, (REDRIVES, str(letter.redrives + 1).encode()))
    return NewRecord(_origin(letter).at, record.key, record.value or b"", headers)
