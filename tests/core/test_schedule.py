"""The schedule against the simplest thing that could be right: a dictionary."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from worker.core.event import Entity
from worker.core.schedule import Schedule
from worker.core.state import EntityQueue

LANES = 6
#: What a clean-up may leave lying about beside twice the live entries.
SLACK = 1001


def queue(number: int) -> EntityQueue:
    return EntityQueue(Entity("cart", str(number)))


class ScheduleMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.queues = [queue(number) for number in range(LANES)]
        self.due: dict[EntityQueue, float] = {}

    @rule(which=st.integers(0, LANES - 1), due=st.sampled_from([0.0, 1.0, 2.0, 3.0, 1e9]))
    def put(self, which: int, due: float) -> None:
        self.schedule.put(self.queues[which], due)
        self.due[self.queues[which]] = due

    @rule(which=st.integers(0, LANES - 1))
    def drop(self, which: int) -> None:
        self.schedule.drop(self.queues[which])
        self.due.pop(self.queues[which], None)

    @rule(which=st.integers(0, LANES - 1), times=st.integers(1, 2000))
    def put_often(self, which: int, times: int) -> None:
        for number in range(times):
            self.put(which, float(number % 7))

    @rule()
    def take_all(self) -> None:
        """In order of their time, and each of them once."""
        taken = []
        while (first := self.schedule.first()) is not None:
            taken.append(first)
            self.schedule.drop(first[1])
        assert [due for due, _ in taken] == sorted(self.due.values())
        assert {queue: due for due, queue in taken} == self.due
        self.due = {}

    @invariant()
    def the_first_is_the_one_that_is_due_first(self) -> None:
        first = self.schedule.first()
        if not self.due:
            assert first is None
        else:
            assert first is not None
            assert self.due[first[1]] == first[0] == min(self.due.values())

    @invariant()
    def a_lane_knows_whether_it_is_scheduled(self) -> None:
        assert {queue for queue in self.queues if queue.token != 0} == set(self.due)

    @invariant()
    def stale_entries_are_cleaned_up(self) -> None:
        assert len(self.schedule._heap) <= 2 * LANES + SLACK


TestSchedule = ScheduleMachine.TestCase
TestSchedule.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_what_is_due_at_the_same_time_comes_in_order_of_arrival() -> None:
    schedule, queues = Schedule(), [queue(number) for number in range(50)]
    for each in queues:
        schedule.put(each, 5.0)
    taken = []
    while (first := schedule.first()) is not None:
        taken.append(first[1])
        schedule.drop(first[1])
    assert taken == queues


def test_stale_entries_below_a_first_one_that_stays_are_cleaned_up() -> None:
    schedule = Schedule()
    schedule.put(queue(0), 0.0)
    for number in range(1, 100_000):
        passing = queue(number)
        schedule.put(passing, 10.0)
        schedule.drop(passing)
        assert len(schedule._heap) <= 2 * 2 + SLACK
    assert schedule.first() is not None


def test_dropping_twice_or_dropping_what_never_was_does_not_upset_the_count() -> None:
    schedule, stays, goes = Schedule(), queue(0), queue(1)
    schedule.put(stays, 1.0)
    for _ in range(3):
        schedule.drop(goes)
    assert schedule.first() == (1.0, stays)
    for _ in range(5000):
        schedule.put(goes, 2.0)
        schedule.drop(goes)
        schedule.drop(goes)
    assert len(schedule._heap) <= 2 * 2 + SLACK
    assert schedule.first() == (1.0, stays)
