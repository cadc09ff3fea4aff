"""`optico-worker dlq redrive`: of each chosen letter's entity the newest state is delivered, as a live replay does.

1. The dead-letter topic is read, and the letters are chosen.
2. The log is read from the letters on, which gives the plan (see `plan`). A dry run ends here.
3. A live replay of the entities in the plan: it reads the log again from the letters on, sends each entity's newest
   state, and looks at the log after each answer (see `worker.ops.replay.tracker`).

Nothing is written to Kafka. A second run does the same again, and ends with the same states.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from worker.adapters.kafka.admin import Admin, open_admin
from worker.adapters.kafka.reader import Reader
from worker.adapters.kafka.replay import PartitionReader
from worker.adapters.logs import Mask
from worker.core.event import Entity
from worker.core.state import Partition
from worker.ops.dlq.letter_reader import LetterReader, Selection, one_a_record
from worker.ops.dlq.plan import STALE, Plan, Target
from worker.ops.dlq.report import Report
from worker.ops.replay.alongside import LiveReplay
from worker.ops.replay.links import Links
from worker.ops.replay.progress import Progress
from worker.ops.replay.range_scan import RangeScan, State
from worker.ops.replay.reading import Feed, Reading
from worker.ops.replay.run import Stop, deliver, prepare, signals
from worker.ops.terminal import note
from worker.ops.transactions import still_open
from worker.ports import UnavailableError
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class RedriveOptions:
    """What the command was told. `per_second` 0: no limit."""

    topic: str
    selection: Selection
    accept_stale: bool
    execute: bool
    per_second: float


def redrive(settings: Settings, options: RedriveOptions, *, as_json: bool) -> int:
    """Prints what becomes of each chosen letter, as soon as it is known; returns the exit code.

    Blocks until all is done, or stopped by SIGINT, SIGTERM or SIGHUP. Raises CommandError, UnavailableError,
    FatalError.
    """
    prepare(settings)
    stop = Stop()
    report = Report(options.topic, Mask(settings.secrets), stop, executes=options.execute, as_json=as_json)
    with open_admin(settings.kafka) as admin, Reader(settings.kafka) as letters:
        letters_on_topic = LetterReader(admin, letters, options.topic, settings.reading())
        plan, starts = _plan(admin, letters_on_topic, options.selection, settings.kafka.topics)
        with closing(PartitionReader(settings.kafka, starts)) as reader, Progress() as progress:
            reading = Reading(reader, settings.reading(), lambda: stop.asked, lambda _: None)
            held_up = {at.topic for at in still_open(admin, starts)}
            ends = _read(reading, plan, starts, progress)
            targets = plan.judge(ends, held_up, accept_stale=options.accept_stale)
            for entity, target in targets.items():
                if target.stale is not None:
                    note(f"{entity}: {STALE}; with --accept-stale the value of letter {target.stale.where} is sent")
            report.begin(plan.steps, targets.values())
            if options.execute and targets:
                attempt = _Delivery(settings, letters_on_topic, reading, starts, stop, progress, report)
                attempt.run(targets, options.per_second)
    return report.end()


def _plan(
    admin: Admin, letters_on_topic: LetterReader, selection: Selection, topics: Collection[str]
) -> tuple[Plan, dict[Partition, int]]:
    """The chosen letters, and where the log is to be read from."""
    chosen = one_a_record(letter for letter, _ in letters_on_topic.letters(selection.since) if letter in selection)
    found = admin.topics({letter.origin.topic for letter in chosen if letter.origin is not None})
    unusable = {name: topic.problem for name, topic in found.items() if topic.problem is not None}
    # Another worker's letter: its events may belong to another account.
    unusable |= {name: "is none of KAFKA_TOPICS" for name in found if name not in topics}
    plan = Plan(chosen, unusable, {at for topic in found.values() for at in topic.partitions})
    if plan.cases and selection != Selection():
        records = {letter.record for letter in chosen}
        for letter, _ in letters_on_topic.letters():
            if letter.record not in records:
                plan.add_other(replace(letter, headers=()))
    return plan, _starts(admin, plan, {name: topic.partitions for name, topic in found.items()})


def _starts(admin: Admin, plan: Plan, partitions: Mapping[str, Collection[Partition]]) -> dict[Partition, int]:
    """The first offset of each partition that may be later than a letter of its topic, or be a letter's record."""
    states = [letter.state for case in plan.cases.values() for letter in case.letters]
    starts: dict[Partition, int] = {}
    for topic in {state.at.topic for state in states}:
        oldest = min(state.timestamp for state in states if state.at.topic == topic)
        found, ends = admin.offsets_at(partitions[topic], oldest), admin.ends(partitions[topic])
        starts |= {at: ends[at] if offset is None else offset for at, offset in found.items()}
    for state in states:
        at = Partition(*state.at[:2])
        starts[at] = min(starts[at], state.at.offset)
    begins = admin.begins(starts)
    return {at: max(start, begins[at]) for at, start in starts.items()}


def _read(reading: Reading, plan: Plan, starts: Mapping[Partition, int], progress: Progress) -> dict[Partition, int]:
    """Shows the plan all records from these offsets to the present end, which it returns."""
    ends = reading.ends() if starts else {}
    total = sum(max(0, end - starts[at]) for at, end in ends.items())
    while left := reading.left(ends):
        progress.reading(total - left, total)
        for state, decoded in reading.poll():
            plan.meet(state, decoded)
    progress.reading(total, total)
    return ends


class _Feed(Feed):
    """The values of letters whose record is gone, and then the log."""

    letters: Iterator[tuple[Entity, State]] = iter(())

    def found(self) -> Iterator[tuple[Entity, State]]:
        return chain(self.letters, super().found())


@dataclass(frozen=True, slots=True)
class _Delivery:
    """`starts`: where the log was read from. `reading` is at the plan's end."""

    settings: Settings
    letters_on_topic: LetterReader
    reading: Reading
    starts: Mapping[Partition, int]
    stop: Stop
    progress: Progress
    report: Report

    def run(self, targets: Mapping[Entity, Target], per_second: float) -> None:
        scan, links, reading = RangeScan(), Links(), self.reading
        for entity, target in targets.items():
            scan.newest.put(entity, target.state.at, target.state.timestamp)
            for step in target.steps:
                if step.letter.invalid is None:
                    links.meet(entity, step.letter.state)
        with signals(self.stop), closing(PartitionReader(self.settings.kafka, self.starts)) as again:
            feed = _Feed(Reading(again, reading.config, reading.stopped, reading.show), self.starts)
            feed.letters = _stale(self.letters_on_topic, targets, self.stop)
            start = partial(
                LiveReplay,
                scan,
                reading,
                feed,
                progress=self.progress,
                stops={},
                links=links,
                finished=lambda entity, state, refusal: self.report.finished(targets[entity], state, refusal),
            )
            tracker = deliver(self.settings, per_second, start).tracker
        for entity in tracker.open:
            failing = tracker.failing.get(entity)
            self.report.unchecked(targets[entity], "" if failing is None else f": {failing.reason}: {failing.message}")


def _stale(
    letters_on_topic: LetterReader, targets: Mapping[Entity, Target], stop: Stop
) -> Iterator[tuple[Entity, State]]:
    positions = {target.stale.where for target in targets.values() if target.stale is not None}
    try:
        for letter, record in letters_on_topic.at(positions):
            entity = letter.event
            if entity is not None and entity in targets:
                yield entity, replace(targets[entity].state, value=record.value or b"")
    except UnavailableError as error:
        note(f"stopping: the letters can't be read: {error}")
        stop.asked = True
