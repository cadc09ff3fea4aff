"""What is asked of brokers, and known of partitions, from what has changed: the same as from a look at all of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from kafka.consumer.fetcher import CompletedFetch, Fetcher
from kafka.consumer.subscription_state import SubscriptionState
from kafka.structs import OffsetAndMetadata, TopicPartition

from tests.engine.test_hot_path import calls
from worker.adapters.kafka.bounded_fetch import BoundedFetcher
from worker.adapters.kafka.incremental_fetch import IncrementalFetcher, Session
from worker.adapters.kafka.partition_changes import Changes, TrackedState, TrackedSubscription
from worker.adapters.kafka.records import BatchTooLargeError

PARTITIONS: Final = [TopicPartition("carts", number) for number in range(5)]
NODES: Final = [1, 2]
SESSION_LOST: Final = 70
NUMBERS = st.integers(0, len(PARTITIONS) - 1)
ACTS = st.sampled_from(["seek", "pause", "resume", "reset", "validate", "valid", "revoke", "read"])


class Cluster:
    """Leaders and their epochs. A refresh replaces all of them, as the library's does."""

    def __init__(self) -> None:
        self.refresh({tp: (NODES[tp.partition % 2], 0) for tp in PARTITIONS})

    def refresh(self, leaders: dict[TopicPartition, tuple[int, int]]) -> None:
        self._partitions: dict[TopicPartition, tuple[int, int]] = dict(leaders)

    def request_update(self) -> None: ...

    def leader_for_partition(self, tp: TopicPartition) -> Any:
        return self._partitions[tp][0]

    def leader_epoch_for_partition(self, tp: TopicPartition) -> Any:
        return self._partitions[tp][1]

    def is_replica_node(self, tp: TopicPartition, node: int) -> bool:
        return node != 1 or self._partitions[tp][1] % 2 == 0

    def update_partition_leader(self, tp: TopicPartition, leader: int, epoch: int) -> bool:
        self._partitions[tp] = leader, epoch
        return True

    def broker_metadata(self, node: int) -> int:
        return node


class FetchMachine(RuleBasedStateMachine):
    """A consumer's fetcher; `held` is what each broker's session holds, from the requests alone."""

    @initialize(sessions=st.sampled_from([True, True, False]))
    def start(self, sessions: bool) -> None:
        self.clock, self.sessions = 1000.0, sessions
        self.waits: dict[int, float] = dict.fromkeys(NODES, 0.0)
        self.cluster = Cluster()
        manager = SimpleNamespace(
            _net=None, cluster=self.cluster, broker_version=(4, 0), connection_delay=lambda node: self.waits[node]
        )
        client = SimpleNamespace(_manager=manager, throttle_delay=lambda _: 0)
        self.subscription = TrackedSubscription("earliest")
        self.subscription.subscribe(["carts"])
        self.fetcher = BoundedFetcher(client, self.subscription)
        self.held: dict[int, dict[TopicPartition, Any]] = {node: {} for node in NODES}
        self.ids, self.full = dict.fromkeys(NODES, 0), dict.fromkeys(NODES, False)
        self.assign(PARTITIONS)
        self.poll(["answer"] * 2)

    def states(self) -> list[tuple[TopicPartition, TrackedState]]:
        return list(self.subscription.assignment.items())

    @rule(partitions=st.sets(st.sampled_from(PARTITIONS)))
    def assign(self, partitions: Any) -> None:
        self.subscription.assign_from_subscribed(sorted(partitions))
        for tp, state in self.states():
            if state.is_missing_position() and tp.partition != 4:
                self.subscription.seek(tp, 0)

    @rule(
        number=NUMBERS, act=st.sampled_from(["seek", "pause", "resume", "reset", "validate", "valid", "revoke", "read"])
    )
    def change(self, number: int, act: str) -> None:
        tp = PARTITIONS[number]
        state = self.subscription.assignment.get(tp)
        if state is None:
            return
        if act == "seek":
            self.subscription.seek(tp, OffsetAndMetadata(7, "", 0))
        elif act == "pause":
            self.subscription.pause(tp)
        elif act == "resume":
            self.subscription.resume(tp)
        elif act == "reset":
            self.subscription.request_offset_reset(tp)
        elif act == "validate":
            self.subscription.request_position_validation(tp)
        elif act == "valid":
            self.subscription.complete_validation(tp)
        elif act == "revoke":
            self.subscription.mark_pending_revocation([tp])
        elif state.has_valid_position:
            state.position = OffsetAndMetadata(
                state.position.offset + 1, "", self.cluster.leader_epoch_for_partition(tp)
            )

    @rule(number=NUMBERS, node=st.sampled_from([*NODES, -1]), epoch=st.integers(0, 3), told=st.booleans())
    def leader(self, number: int, node: int, epoch: int, told: bool) -> None:
        """It moves: an answer tells so, or the next metadata."""
        tp = PARTITIONS[number]
        if told:
            hint = SimpleNamespace(leader_id=node, leader_epoch=epoch)
            self.fetcher._maybe_update_current_leader(tp, SimpleNamespace(current_leader=hint))
        else:
            self.cluster.refresh({**self.cluster._partitions, tp: (node, epoch)})

    @rule(number=NUMBERS, node=st.sampled_from([*NODES, -1]), seconds=st.integers(1, 20))
    def follower(self, number: int, node: int, seconds: int) -> None:
        if (state := self.subscription.assignment.get(PARTITIONS[number])) is not None:
            state.update_preferred_read_replica(node, self.clock + seconds)

    @rule(number=NUMBERS, where=st.sampled_from(["completed", "paused", "blocked_queues", "current", "none"]))
    def buffer(self, number: int, where: str) -> None:
        """An answer waits to be used up, or is."""
        tp, fetcher = PARTITIONS[number], self.fetcher
        kept = [fetch for fetch in fetcher._completed_fetches if fetch.topic_partition != tp]
        fetcher._completed_fetches.clear()
        fetcher._completed_fetches.extend(kept)
        fetcher._paused_completed_fetches.pop(tp, None)
        fetcher._paused_partition_records.pop(tp, None)
        fetcher._next_partition_records = None
        if where == "completed":
            fetcher._completed_fetches.append(CompletedFetch(tp, 0, 12, None, None))
        elif where == "paused":
            fetcher._paused_completed_fetches[tp] = None
        elif where == "blocked_queues":
            fetcher._paused_partition_records[tp] = None
        elif where == "current":
            fetcher._next_partition_records = SimpleNamespace(topic_partition=tp)

    @rule(number=NUMBERS)
    def meet_a_batch_that_is_too_large(self, number: int) -> None:
        self.fetcher._leave(PARTITIONS[number], BatchTooLargeError(0, 3))

    @rule(
        seconds=st.sampled_from([0.5, 5.0, 61.0]),
        node=st.sampled_from(NODES),
        wait=st.sampled_from([0.0, 0.0, 0.0, 1.0]),
    )
    def wait(self, seconds: float, node: int, wait: float) -> None:
        self.clock += seconds
        self.waits[node] = wait

    @rule(
        answers=st.lists(st.sampled_from(["answer"] * 4 + ["none", "error", "lost", "closed"]), min_size=2, max_size=2)
    )
    def poll(self, answers: list[str]) -> None:
        with patch.object(time, "monotonic", lambda: self.clock):
            self.fetcher.maybe_validate_positions()
            made = self.fetcher._create_fetch_requests()
            for node in NODES:
                wanted = self.wanted(node)
                free = node not in self.fetcher._nodes_with_pending_fetch_requests and not self.waits[node]
                assert (node in made) == bool(wanted and free), f"to node {node}: {node in made}, {wanted}"
            for node, answer in zip(sorted(made), answers, strict=False):
                self.send(node, *made[node])
                self.end(node, answer)
            for node in sorted(self.fetcher._nodes_with_pending_fetch_requests - made.keys()):
                self.end(node, answers[0])

    def wanted(self, node: int) -> dict[TopicPartition, Any]:
        """As the library finds it: by a look at every partition."""
        fetcher, found = self.fetcher, {}
        for tp in fetcher._fetchable_partitions():
            if fetcher._select_read_replica(tp) == node:
                position = self.subscription.assignment[tp].position
                found[tp] = (position.offset, position.leader_epoch, self.cluster.leader_epoch_for_partition(tp))
        return found

    def send(self, node: int, request: Any, offsets: Any) -> None:
        """As a broker takes a request: a session begins with epoch 0, and is changed by what comes after."""
        held = self.held[node]
        if request.session_epoch == 0:
            held.clear()
        else:
            assert request.session_id == self.ids[node]
        for topic in request.forgotten_topics_data:
            for number in topic.partitions:
                del held[TopicPartition(topic.topic, number)]
        for topic in request.topics:
            for asked in topic.partitions:
                tp = TopicPartition(topic.topic, asked.partition)
                held[tp] = asked.fetch_offset, asked.last_fetched_epoch, asked.current_leader_epoch
        assert held == self.wanted(node), "the broker's session is not what is to be fetched"
        assert {tp: offsets[tp] for tp in held} == {tp: asked[0] for tp, asked in held.items()}
        self.full[node] = request.session_epoch == 0
        self.fetcher._nodes_with_pending_fetch_requests.add(node)

    def end(self, node: int, answer: str) -> None:
        """An answer comes, or none does yet."""
        if answer == "none":
            return
        self.fetcher._nodes_with_pending_fetch_requests.discard(node)
        session = self.fetcher._session_handlers[node]
        if answer == "error":
            session.handle_error(None)
            return
        self.ids[node] += answer == "answer" and self.full[node]
        partitions = [SimpleNamespace(partition_index=tp.partition) for tp in self.held[node]]
        told = partitions if self.full[node] else partitions[:1]
        response = SimpleNamespace(
            error_code=SESSION_LOST if answer == "lost" else 0,
            session_id=self.ids[node] if answer == "answer" and self.sessions else 0,
            responses=[SimpleNamespace(topic="carts", partitions=told)],
        )
        assert session.handle_response(response) == (answer != "lost")

    @rule(number=NUMBERS, first=ACTS, second=ACTS, seconds=st.sampled_from([0.0, 21.0]))
    def change_and_poll(self, number: int, first: str, second: str, seconds: float) -> None:
        """Each change alone between two requests."""
        for act in (first, second):
            self.change(number, act)
            self.clock += seconds
            self.poll(["answer"] * 2)

    @rule(number=NUMBERS, node=st.sampled_from(NODES), epoch=st.integers(0, 3), told=st.booleans())
    def move_and_poll(self, number: int, node: int, epoch: int, told: bool) -> None:
        self.leader(number, node, epoch, told)
        self.poll(["answer"] * 2)

    @rule(number=NUMBERS, node=st.sampled_from(NODES), seconds=st.integers(1, 20))
    def follow_and_poll(self, number: int, node: int, seconds: int) -> None:
        """And once more when it is over."""
        self.follower(number, node, seconds)
        for _ in range(2):
            self.poll(["answer"] * 2)
            self.clock += seconds

    @invariant()
    def what_is_known_from_changes_is_what_a_look_at_all_finds(self) -> None:
        if not hasattr(self, "subscription"):
            return
        ours, own = self.subscription, SubscriptionState
        assert ours.has_all_fetch_positions() == own.has_all_fetch_positions(ours)
        assert ours.missing_fetch_positions() == own.missing_fetch_positions(ours)
        assert ours.partitions_needing_reset() == own.partitions_needing_reset(ours)
        assert ours.partitions_needing_validation() == own.partitions_needing_validation(ours)

    @rule()
    def validate(self) -> None:
        """After it no partition is left that a look at all would mark."""
        self.fetcher.maybe_validate_positions()
        before = {tp: state.awaiting_validation for tp, state in self.states()}
        Fetcher.maybe_validate_positions(self.fetcher)
        assert {tp: state.awaiting_validation for tp, state in self.states()} == before


def profile(examples: int, **more: Any) -> settings:
    return settings(max_examples=examples, stateful_step_count=40, deadline=None, **more)


TestFetcher = FetchMachine.TestCase
TestFetcher.settings = profile(200)

_take, _setattr = Changes.take, TrackedState.__setattr__


def _one_is_lost(self: Changes) -> list[TopicPartition]:
    return _take(self)[1:]


def _pauses_unnoticed(self: TrackedState, name: str, value: Any) -> None:
    (object.__setattr__ if name == "paused" else _setattr)(self, name, value)


def _unmarked(self: IncrementalFetcher, tp: TopicPartition, partition_data: Any) -> None:
    Fetcher._maybe_update_current_leader(self, tp, partition_data)


def _no_time(_: IncrementalFetcher, __: float) -> list[TopicPartition]:
    return []


def _never_forgotten(self: Session, asked: Any) -> Any:
    return _update(self, {tp: new for tp, new in asked.items() if new is not None})


_update = Session.update

MUTANTS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "a change is lost": (Changes, "take", _one_is_lost),
    "a pause is not noticed": (TrackedState, "__setattr__", _pauses_unnoticed),
    "a leader's word is not noticed": (IncrementalFetcher, "_maybe_update_current_leader", _unmarked),
    "a follower's time is not noticed": (IncrementalFetcher, "_due", _no_time),
    "nothing is forgotten": (Session, "update", _never_forgotten),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    where, method, bug = MUTANTS[name]
    with patch.object(where, method, bug):
        yield


@pytest.mark.parametrize("name", list(MUTANTS))
def test_the_machine_finds_a_planted_bug(name: str) -> None:
    with planted(name), pytest.raises(Exception):  # noqa: B017, PT011 - any way of turning red
        _run()


def _run() -> None:
    for number in range(1, 5):
        run_state_machine_as_test(seed(number)(FetchMachine), settings=profile(200, phases=[Phase.generate]))


def _calls_of_an_idle_poll(partitions: int) -> tuple[int, int]:
    """Functions called in what a poll asks and sends while nothing comes: with a request, and while it is under way."""
    machine = FetchMachine()
    with patch(f"{__name__}.PARTITIONS", [TopicPartition("carts", number) for number in range(partitions)]):
        machine.start(sessions=True)
        machine.assign(PARTITIONS)
        machine.subscription.seek(PARTITIONS[4], 0)
        for _ in range(3):
            machine.poll(["answer", "answer"])

    def poll() -> None:
        subscription, fetcher = machine.subscription, machine.fetcher
        assert subscription.has_all_fetch_positions()
        assert not subscription.partitions_needing_reset()
        fetcher.maybe_validate_positions()
        assert not subscription.partitions_needing_validation()
        requests = fetcher._create_fetch_requests()
        fetcher._nodes_with_pending_fetch_requests.update(requests)
        assert not any(request.topics or request.forgotten_topics_data for request, _ in requests.values())

    poll()
    for session in machine.fetcher._session_handlers.values():
        session.next_metadata = session.next_metadata.next_incremental()
    machine.fetcher._nodes_with_pending_fetch_requests.clear()
    return calls(poll), calls(poll)


def test_a_poll_costs_the_same_however_many_partitions_are_idle() -> None:
    few, many = _calls_of_an_idle_poll(10), _calls_of_an_idle_poll(2000)
    assert many == few
    assert few[0] < 180, few
