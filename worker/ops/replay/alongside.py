"""Replay beside the running worker: a reader without a group, the worker's own rules of sending, and the check.

Each entity of the range is sent once, in its newest state; while that goes on the topic is read on (see `course`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.event import Entity
from worker.core.lane import Coordinates
from worker.core.ownership import Partition
from worker.ops.replay.course import Course
from worker.ops.replay.dispatch import Dispatch
from worker.ops.replay.progress import Progress
from worker.ops.replay.reading import Reading
from worker.ops.replay.survey import Refusal, State, Survey, entity_of


@dataclass(slots=True)
class Report:
    """What a replay did. `unchecked` were sent, and may be older than the topic; `unsent` were not sent at all.

    `open_at`: where the first record of anything unfinished stands, in each partition.
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
    open_at: dict[Partition, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Everything of the range is at the API."""
        return not (self.unsent or self.unchecked or self.refusals)


@dataclass(slots=True)
class Alongside:
    """One replay of surveyed entities. `room`: how many may wait for their first answer."""

    survey: Survey
    reading: Reading
    dispatch: Dispatch
    progress: Progress
    room: int
    requests: int = 0
    course: Course = field(init=False)
    _invalid: list[Refusal] = field(init=False)
    _landing: set[Entity] = field(default_factory=set)
    _check: tuple[dict[Entity, State], Mapping[Partition, int]] | None = None

    def __post_init__(self) -> None:
        self._invalid = list(self.survey.invalid())
        self.course = Course(self.survey.newest, self.survey.first)  # which takes them, one by one

    def run(self) -> None:
        """Sends until all is done; once stopped, until what was sent is checked. Raises FatalError.

        Blocks for as long as that takes. Whatever ends it, `report` tells how far it came.
        """
        course = self.course
        while course.open or (course.waiting and not self.reading.stopped()):
            self._land()
            if not self.reading.stopped() and self.dispatch.paused() is None:
                self.dispatch.send(list(course.feed(self.room)))
            self._read_on()
            self.progress.sending(course, self.requests, self.dispatch.paused())

    def _land(self) -> None:
        """Takes the answers. Whatever is found idle, or given up, had its last answer before: so they come after it."""
        self._take_answers()
        given_up = self.dispatch.given_up()
        idle = self.dispatch.idle(self._landing)
        self._take_answers()
        for entity, refusal in given_up:
            self.course.reject(entity, refusal)
        for entity in idle:
            self._landing.discard(entity)
            self.course.settle(entity)

    def _take_answers(self) -> None:
        for answer in self.dispatch.answers():
            self.requests += 1
            self.course.answer(answer.entity, answer.outcome, answer.at)
            self._landing.add(answer.entity)

    def _read_on(self) -> None:
        """Reads what came to the topic, and checks what was answered against an end that is taken after the answer."""
        if self._check is None:
            sent = self.course.to_check(self.dispatch.clock())
            if sent:
                self._check = sent, self.reading.ends()
        newer = [
            (entity, state)
            for state, decoded in self.reading.poll()
            if (entity := entity_of(decoded)) is not None and self.course.newer(entity, state)
        ]
        self.dispatch.send(newer)  # not while it is read: sending holds the senders up
        self._landing |= {entity for entity, state in newer if state.emptied}  # no answer may come of these
        if self._check is not None and not self.reading.left(self._check[1]):
            self.course.checked(self._check[0])
            self._check = None

    def report(self) -> Report:
        course = self.course
        refusals = sorted([*self._invalid, *course.rejected.values()], key=lambda refusal: refusal.at)
        return Report(
            events=self.survey.events,
            entities=course.total,
            delivered=course.done - course.emptied - sum(entity not in course.open for entity in course.rejected),
            requests=self.requests,
            superseded=course.superseded,
            emptied=course.emptied,
            unsent=len(course.waiting),
            unchecked=len(course.open),
            refusals=refusals,
            failing=[self._failing(entity) for entity in course.failing],
            open_at=_firsts(course),
        )

    def _failing(self, entity: Entity) -> Refusal:
        outcome = self.course.failing[entity]
        return Refusal(self.course.open[entity].state.at, entity.kind, outcome.reason, outcome.message)


def _firsts(course: Course) -> dict[Partition, int]:
    firsts: dict[Partition, int] = {}
    for entity in course.unfinished():
        topic, number, offset = Coordinates(*course.first[entity])
        partition = Partition(topic, number)
        firsts[partition] = min(offset, firsts.get(partition, offset))
    return dict(sorted(firsts.items()))
