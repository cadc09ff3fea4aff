"""Replay beside the running worker: a reader without a group, the worker's own rules of sending, and the check.

Each entity of the range is sent once, in its newest state; while that goes on the topic is read on (see `tracker`).
What a range holds does not fit into memory. So a first pass notes where the newest state of each entity stands, and a
second one reads the range again and hands those out, as fast as they are sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from worker.core.event import Entity
from worker.core.state import Partition
from worker.ops.replay.dispatch import Dispatch
from worker.ops.replay.links import Links
from worker.ops.replay.progress import Progress
from worker.ops.replay.range_scan import RangeScan, Refusal, State, entity_of
from worker.ops.replay.reading import Feed, Reading
from worker.ops.replay.tracker import Finished, ReplayTracker, Room


@dataclass(slots=True)
class Report:
    """What a replay did. `unchecked` were sent, and may be older than the topic; `unsent` were not sent at all.

    `open_in`: a range that holds the newest record of everything unfinished, in each partition.
    """

    events: int = 0
    entities: int = 0
    delivered: int = 0
    requests: int = 0
    superseded: int = 0
    emptied: int = 0
    unsent: int = 0
    unchecked: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    failing: list[Refusal] = field(default_factory=list)
    open_in: dict[Partition, tuple[int, int]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Everything of the range is at the API."""
        return not (self.unsent or self.unchecked or self.refusals)


@dataclass(slots=True)
class LiveReplay:
    """One replay of the entities of a range scan. `reading`: where the scan ended. `feed`: where the range begins.

    `stops`: the range's end in each partition. `links`: known before the scan. `finished`: see `ReplayTracker`.
    """

    scan: RangeScan
    reading: Reading
    feed: Feed
    dispatch: Dispatch
    progress: Progress
    room: Room
    stops: Mapping[Partition, int]
    links: Links = field(default_factory=Links)
    finished: Finished = lambda *_: None
    requests: int = 0
    tracker: ReplayTracker = field(init=False)
    _invalid: list[Refusal] = field(init=False)
    _landing: dict[Entity, None] = field(default_factory=dict)
    _check: tuple[dict[Entity, State], Mapping[Partition, int]] | None = None

    def __post_init__(self) -> None:
        self._invalid = list(self.scan.invalid())
        self.tracker = ReplayTracker(self.scan.newest, self.links, self.finished)  # which takes them, one by one

    def run(self) -> None:
        """Sends until all is done; once stopped, until what was sent is checked. Raises FatalError.

        Blocks for as long as that takes. Whatever ends it, `report` tells how far it came.
        """
        tracker, gone = self.tracker, False
        while tracker.open or (tracker.waiting and not gone and not self.reading.stopped()):
            self._land()
            if not self.reading.stopped() and self.dispatch.paused() is None:
                self.dispatch.send(list(tracker.feed(self.feed.found(), self.room)))
                # What is found up to the log's end nowhere has been deleted since the first pass.
                gone = bool(tracker.waiting) and self.feed.ended(tracker.superseded)
            self._read_on()
            self.progress.sending(tracker, self.requests, self.dispatch.paused())

    def _land(self) -> None:
        """Takes the answers. Whatever is found idle, or given up, had its last answer before: so they come after it."""
        self._take_answers()
        given_up = self.dispatch.given_up()
        idle = self.dispatch.idle(self._landing)
        self._take_answers()
        for entity, refusal in given_up:
            self.tracker.reject(entity, refusal)
        for entity in idle:
            self._landing.pop(entity, None)
            self.tracker.settle(entity)

    def _take_answers(self) -> None:
        for answer in self.dispatch.answers():
            self.requests += 1
            self.tracker.answer(answer.entity, answer.outcome, answer.at)
            self._landing[answer.entity] = None

    def _read_on(self) -> None:
        """Reads what came to the topic, and checks what was answered against an end that is taken after the answer."""
        if self._check is None:
            sent = self.tracker.to_check(self.dispatch.clock())
            if sent:
                self._check = sent, self.reading.ends()
        newer = [
            (entity, state)
            for state, decoded in self.reading.poll()
            if (entity := entity_of(decoded)) is not None and self.tracker.newer(entity, state)
        ]
        self.dispatch.send(newer)  # not while it is read: adding them holds the sending loop up
        self._landing |= {entity: None for entity, state in newer if state.emptied}  # no answer may come of these
        if self._check is not None and not self.reading.left(self._check[1]):
            self.tracker.checked(self._check[0])
            self._check = None

    def report(self) -> Report:
        tracker = self.tracker
        refusals = sorted([*self._invalid, *tracker.rejected.values()], key=lambda refusal: refusal.at)
        return Report(
            events=self.scan.events,
            entities=tracker.total,
            delivered=tracker.done - tracker.emptied - sum(entity not in tracker.open for entity in tracker.rejected),
            requests=self.requests,
            superseded=tracker.superseded,
            emptied=tracker.emptied,
            unsent=tracker.waiting,
            unchecked=len(tracker.open),
            refusals=refusals,
            failing=[self._failing(entity) for entity in tracker.failing],
            open_in=dict(sorted(self._open_in())),
        )

    def _failing(self, entity: Entity) -> Refusal:
        outcome = self.tracker.failing[entity]
        return Refusal(self.tracker.open[entity].state.at, entity.kind, outcome.reason, outcome.message)

    def _open_in(self) -> Iterator[tuple[Partition, tuple[int, int]]]:
        """Waiting entities have their newest record after those handed out, and in the range unless renewed."""
        tracker = self.tracker
        for partition, stop in self.stops.items():
            offsets = [opened.state.at.offset for opened in tracker.open.values() if opened.state.at[:2] == partition]
            first, end = min(offsets, default=stop), max([stop, *(offset + 1 for offset in offsets)])
            if tracker.waiting:
                first = min(first, self.feed.positions[partition])
                end = max(end, self.reading.position(partition) or 0) if tracker.newest.renewed else end
            if first < end:
                yield partition, (first, end)
