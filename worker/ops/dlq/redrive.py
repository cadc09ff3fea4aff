"""`optico-worker dlq redrive`: letters go back to where they came from, as they were.

What may repeat: letters are written, acknowledged, and then remembered, in batches. Killed in between, a run leaves at
most one batch that is written and not remembered; the next run finds their copies in the log, knows them by their
content, and skips them as superseded, or writes again behind them what is newer. So only a letter that is sent with
--force can go twice, or one that a broker takes after the run that wrote it has looked for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worker.adapters.kafka.admin import Admin, open_admin
from worker.adapters.kafka.reader import Reader
from worker.adapters.kafka.writer import NewRecord, NotWritten, Writer
from worker.core.state import Partition
from worker.formats import ReadConfig
from worker.ops.dlq.behind import Behind, hidden
from worker.ops.dlq.copies import copy_of, is_of
from worker.ops.dlq.later import Later
from worker.ops.dlq.letter import DeadLetter, RecordPosition
from worker.ops.dlq.memory import Memory
from worker.ops.dlq.plan import Fate, Step, judged, order, plan
from worker.ops.dlq.report import report
from worker.ops.dlq.shelf import Selection, Shelf
from worker.ops.dlq.stop import Stop, stopping
from worker.ops.dlq.transactions import Transactions
from worker.ops.terminal import progress
from worker.settings import Kafka

#: Letters between two commits: so many may be written and not yet remembered.
BATCH = 50


@dataclass(frozen=True, slots=True)
class Orders:
    """What the command was told. `again`: letters that are remembered as done, too."""

    topic: str
    selection: Selection
    redrives_at_most: int
    force: bool
    again: bool
    execute: bool


def redrive(settings: Kafka, config: ReadConfig, orders: Orders, *, as_json: bool) -> int:
    """Prints what becomes of each chosen letter, also where it fails half-way; returns the exit code."""
    with open_admin(settings) as admin, Reader(settings) as reader:
        work = _Redrive(admin, reader, settings, config, orders)
        steps, stopped = work.plan(), False
        try:
            if orders.execute:
                with Writer(settings) as writer, stopping() as stop:
                    work.execute(steps, writer, stop)
                    stopped = stop.is_set()
        finally:
            report(steps, orders.topic, work.memory, executed=orders.execute, as_json=as_json)
    failed = any(step.fate is Fate.FAILED for step in steps)
    left = stopped and any(step.fate is Fate.REDRIVE for step in steps)
    return 1 if failed or left else 0


class _Redrive:
    def __init__(self, admin: Admin, reader: Reader, settings: Kafka, config: ReadConfig, orders: Orders) -> None:
        self._admin, self._orders = admin, orders
        self._shelf = Shelf(admin, reader, orders.topic)
        self._later = Later(admin, reader, config)
        self._transactions = Transactions(admin)
        self.memory = Memory(admin, settings.group_id)
        self._twins: dict[object, list[RecordPosition]] = {}
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

    def execute(self, steps: Sequence[Step], writer: Writer, stop: Stop) -> None:
        """Puts them back, batch by batch, until it is told to stop; a batch that has begun is finished."""
        for step in steps:
            if step.fate is Fate.DUPLICATE:
                self._twins.setdefault(step.letter.record, []).append(step.letter.where)
        going = [step for step in steps if step.fate is Fate.REDRIVE]
        if going:
            self.memory.confirm(self._offsets, self._shelf.ends)
        with progress("redriving", len(going)) as moved:
            for start in range(0, len(going), BATCH):
                if stop.is_set():
                    return
                batch = going[start : start + BATCH]
                self._put_back(batch, writer, stop)
                self.memory.save(self._offsets, self._shelf.ends)
                moved(len(batch))

    def _put_back(self, batch: list[Step], writer: Writer, stop: Stop) -> None:
        records = self._records(batch)
        if not self._orders.force:  # somebody may have written since the plan was made
            self._judge_again(batch)
        returned = [step for step in batch if step.fate is Fate.REDRIVE and self._is_there(step)]
        going = [(step, record) for step, record in records if step.fate is Fate.REDRIVE]
        with stop.held_back():  # between the two, what is newer may stand before a copy
            written = self._write(going, writer)
            if not self._orders.force:
                Behind(self._later, self._shelf, writer, self._transactions).look([*returned, *written])
        for step in batch:
            if step.fate is Fate.REDRIVEN:
                for done in (step.letter.where, *self._twins.get(step.letter.record, ())):
                    self.memory.add(done)

    def _judge_again(self, batch: list[Step]) -> None:
        partitions = {_origin(step.letter).at for step in batch}
        closed = self._transactions.wait(self._transactions.ends(partitions))
        self._later.extend(self._later.extent(partitions - closed), lambda _: None)
        for step in batch:
            if step.fate is Fate.REDRIVE and (at := _origin(step.letter).at) in closed:
                step.fate, step.detail = Fate.FAILED, hidden(at)
            elif step.fate is Fate.REDRIVE:
                now = judged(step.letter, self._later, force=False)
                step.fate, step.detail = now.fate, now.detail

    def _is_there(self, step: Step) -> bool:
        """Whether its copy is in the log, so that it only remains to look what is behind what."""
        return not self._orders.force and self._later.ours(step.letter) is not None

    def _write(self, records: list[tuple[Step, NewRecord]], writer: Writer) -> list[Step]:
        """Those that are written, and those that may be."""
        going = [(step, record) for step, record in records if not self._is_there(step)]
        for step, record in going:
            self._later.expect(step.letter, record)
        answers = writer.write([record for _, record in going])
        written = []
        for (step, record), answer in zip(going, answers, strict=True):
            if isinstance(answer, NotWritten):
                step.fate, step.detail = Fate.FAILED, answer.why
            else:
                place = RecordPosition(*record.partition, answer)
                self._later.written(step.letter, place)
                step.fate, step.detail = Fate.REDRIVEN, f"it is {place} now"
            if not isinstance(answer, NotWritten) or answer.perhaps:
                written.append(step)
        return written

    def _records(self, steps: list[Step]) -> list[tuple[Step, NewRecord]]:
        found = self._shelf.values([_place(step.letter) for step in steps])
        records = []
        for step in steps:
            letter, record = step.letter, found.get(_place(step.letter))
            if record is None:
                step.fate, step.detail = Fate.FAILED, f"{_place(letter)} has been deleted meanwhile"
            elif letter.truncated and not is_of(letter, record):
                step.fate, step.detail = Fate.FAILED, f"{_place(letter)} is another record now"
            else:
                records.append((step, copy_of(letter, record)))
        return records

    def _letters(self) -> tuple[list[DeadLetter], list[DeadLetter]]:
        """Those that were chosen and are not done, and all others; without their values."""
        chosen: list[DeadLetter] = []
        others: list[DeadLetter] = []
        for letter, record in self._shelf.letters(None if self._orders.again else self.memory.starts()):
            self._offsets[letter.where.at].append(letter.where.offset)
            wanted = letter in self._orders.selection and (self._orders.again or letter.where not in self.memory)
            if letter.where not in self.memory and letter.origin is not None and not letter.truncated:
                self._later.expect(letter, copy_of(letter, record))
            (chosen if wanted else others).append(replace(letter, headers=()))
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


def _origin(letter: DeadLetter) -> RecordPosition:
    """Of a letter that the plan has let pass: it has one."""
    assert letter.origin is not None  # noqa: S101 - for the type checker
    return letter.origin


def _place(letter: DeadLetter) -> RecordPosition:
    """Where its value is."""
    return _origin(letter) if letter.truncated else letter.where
