"""A member that was thrown out of its group, and joins again."""

import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from kafka.errors import RebalanceInProgressError
from kafka.future import Future
from kafka.structs import OffsetAndMetadata, TopicPartition

from tests.brokers.tools import ask, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import KEY, worker
from tests.integration.test_life import Stages
from worker.adapters.kafka import GroupConsumer
from worker.core.state import Partition
from worker.ports import Membership, Record, UnavailableError
from worker.settings import load

POLL = 0.8


class Told:
    """What the consumer tells about its partitions."""

    def __init__(self, busy_for: float = 0.0) -> None:
        self._busy_for = busy_for
        self._idle_at = 0.0
        self.owned: set[Partition] = set()
        self.released: list[tuple[str, set[Partition]]] = []
        self.refused: list[Exception] = []

    def suspend(self, partitions: Iterable[Partition]) -> None:
        del partitions
        self._idle_at = time.monotonic() + self._busy_for

    def busy(self, partitions: Iterable[Partition]) -> bool:
        return bool(set(partitions)) and time.monotonic() < self._idle_at

    def committable(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(set(partitions) - self.owned, 0)

    def ambiguous(self, partitions: Iterable[Partition]) -> set[Partition]:
        del partitions
        return set()

    def found_dirty(self, partitions: Iterable[Partition]) -> None:
        raise AssertionError(f"nobody noted anything of {partitions}")

    def committed(
        self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], error: Exception | None
    ) -> None:
        assert offsets, ambiguous
        if error is not None:
            self.refused.append(error)

    def release(self, partitions: Iterable[Partition], reason: str) -> None:
        self.released.append((reason, set(partitions)))
        self.owned -= set(partitions)

    def assign(self, partitions: Iterable[Partition], *, all_of_them: bool) -> None:
        self.owned = set(partitions) if all_of_them else self.owned | set(partitions)


@contextmanager
def member(s: Stage, told: Told, **more: str) -> Iterator[GroupConsumer]:
    settings = load({"OPTICO_API_KEY": KEY, **s.settings(**{"KAFKA_SESSION_TIMEOUT_MS": "1500"} | more)})
    consumer = GroupConsumer(settings.kafka, told, in_flight_at_most=1.0)
    try:
        yield consumer
    finally:
        consumer.close(5.0)


def _all(s: Stage) -> set[Partition]:
    return {Partition(s.topic, number) for number in range(4)}


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "range"])
def test_who_was_thrown_out_while_joining_has_lost_its_partitions_and_claims_none(stage: Stages, assignor: str) -> None:
    """The library asks `on_partitions_lost` only before it joins, and claims what it had for ever: others own it now.

    A member that claims what another one owns is given it at once, before that one has let it go.
    """
    s = stage(partitions=4)
    told = Told()
    with member(s, told, KAFKA_ASSIGNOR=assignor) as consumer:
        wait_until(lambda: [consumer.poll(POLL)] and told.owned == _all(s), "all partitions", 30)
        coordinator = consumer._consumer._coordinator
        coordinator.reset_generation()  # as an UnknownMemberId in answer to the JoinGroup does
        ((_, metadata),) = coordinator.group_protocols()  # what the next JoinGroup says
        assert not getattr(metadata, "owned_partitions", None)
        assert told.released == [("lost", _all(s))]
        assert consumer._consumer.assignment() == set()
        wait_until(lambda: [consumer.poll(POLL)] and told.owned == _all(s), "all partitions again", 30)


def test_who_was_thrown_out_and_noticed_in_time_claims_nothing(stage: Stages) -> None:
    s = stage(partitions=4)
    told = Told()
    claims: list[object] = []
    with member(s, told) as consumer:
        wait_until(lambda: [consumer.poll(POLL)] and told.owned == _all(s), "all partitions", 30)
        coordinator = consumer._consumer._coordinator
        says = coordinator.group_protocols

        def overheard() -> list[tuple[str, object]]:
            protocols: list[tuple[str, object]] = says()
            claims.extend(getattr(metadata, "owned_partitions", ()) for _, metadata in protocols)
            return protocols

        coordinator.group_protocols = overheard
        coordinator.reset_generation()
        wait_until(lambda: [consumer.poll(POLL)] and told.released and told.owned == _all(s), "a new membership", 30)
    assert told.released[0] == ("lost", _all(s))
    assert claims
    assert not claims[0]


def test_a_static_member_that_ends_between_two_rounds_leaves_no_partition_without_an_owner(stage: Stages) -> None:
    """It has let partitions go, and ends before the round that hands them on. Its successor is given what it had left,
    and no round takes place: what was let go would be nobody's, for as long as nobody else comes or goes.
    """
    s = stage(partitions=4)
    patient = {"KAFKA_SESSION_TIMEOUT_MS": "60000"}
    first, second, other = Told(busy_for=1.5 * POLL), Told(), Told()
    with member(s, first, KAFKA_GROUP_INSTANCE_ID="one", **patient) as ends:
        wait_until(lambda: [ends.poll(POLL)] and first.owned == _all(s), "all partitions", 30)
        with member(s, other, KAFKA_GROUP_INSTANCE_ID="other", **patient) as joins, polled(joins):
            # Letting go takes longer than a poll, so that this ends before it joins again.
            wait_until(lambda: [ends.poll(POLL)] and first.released, "it to let some go", 30)
            ends.close(5.0)
            with member(s, second, KAFKA_GROUP_INSTANCE_ID="one", **patient) as follows, polled(follows):
                wait_until(lambda: second.owned | other.owned == _all(s), "owners for all", 20)
                assert not second.owned & other.owned


@contextmanager
def polled(consumer: GroupConsumer) -> Iterator[None]:
    """On a thread of its own; a join that ends between two polls is lost on the library."""
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            consumer.poll(POLL)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "range"])
def test_a_join_for_new_partitions_that_ends_between_two_polls_is_taken_up(stage: Stages, assignor: str) -> None:
    """The leader joins because of new partitions, and takes that reason away as it hands them out. If the poll ends
    before the join does, the library sees no need to join any more: it goes on as one that joins, without a heartbeat.
    """
    s = stage(partitions=4)
    told = Told()
    with member(s, told, KAFKA_ASSIGNOR=assignor, KAFKA_SESSION_TIMEOUT_MS="20000") as consumer:
        wait_until(lambda: [consumer.poll(POLL)] and told.owned == _all(s), "all partitions", 30)
        ask(s.bootstrap, lambda admin: admin.create_partitions({s.topic: 6}))
        coordinator = consumer._consumer._coordinator
        consumer._consumer._cluster.request_update()
        wait_until(lambda: [consumer.poll(0.0)] and consumer.membership() is Membership.JOINING, "a join to begin", 20)
        wait_until(lambda: coordinator._join_task.is_done, "the join to end while nobody polls")
        wait_until(lambda: [consumer.poll(POLL)] and len(told.owned) == 6, "the new partitions", 20)
        assert consumer.membership() is Membership.STABLE


def test_an_answer_about_offsets_that_nobody_waited_for_is_forgotten(stage: Stages) -> None:
    """The library keeps it by the set of partitions that was asked for, and would take it when that set comes again:
    hours later, with an offset of then.
    """
    s = stage(partitions=4)
    told = Told()
    with member(s, told, KAFKA_SESSION_TIMEOUT_MS="20000") as consumer:
        wait_until(lambda: [consumer.poll(POLL)] and told.owned == _all(s), "all partitions", 30)
        coordinator = consumer._consumer._coordinator
        forgotten = Future()
        forgotten.success({TopicPartition(*partition): OffsetAndMetadata(0, "", -1) for partition in _all(s)})
        s.produce([replace(cart(str(number)), partition=number % 4) for number in range(40)])
        consumer.commit_now(dict.fromkeys(_all(s), 10), (), 5.0)
        coordinator._offset_fetch_futures[frozenset(forgotten.value)] = forgotten
        wait_until(lambda: [consumer.poll(POLL)] and all(consumer.position(each) == 10 for each in _all(s)), "the end")
        coordinator.reset_generation()
        read: list[Record] = []

        def again() -> bool:
            read.extend(record for batch in consumer.poll(POLL).values() for record in batch)
            return bool(told.released) and told.owned == _all(s) and all(map(consumer.position, _all(s)))

        wait_until(again, "the partitions again", 30)
        assert read == []


def test_a_late_answer_extends_the_lease_from_its_question_on(stage: Stages) -> None:
    """The group counts from when it was asked. Who was frozen finds the answer of before, and is another's by now."""
    s = stage(partitions=1)
    told = Told()
    with member(s, told, KAFKA_SESSION_TIMEOUT_MS="30000") as consumer:
        coordinator = consumer._consumer._coordinator
        joined, frozen_for = coordinator._process_sync_group_response, 1.5

        def thaws(*answer: Any) -> Any:
            threading.Event().wait(frozen_for)
            return joined(*answer)

        coordinator._process_sync_group_response = thaws
        wait_until(lambda: [consumer.poll(POLL)] and told.owned, "the partition", 30)
        lease = 30.0 - 1.0
        assert consumer.lease_until() < time.monotonic() - frozen_for + lease
        heartbeat = coordinator.heartbeat
        heartbeat.sent_heartbeat()
        heartbeat.last_send -= 25.0
        before = consumer.lease_until()
        heartbeat.received_heartbeat()
        assert consumer.lease_until() == before
        heartbeat.sent_heartbeat()
        heartbeat.received_heartbeat()
        assert consumer.lease_until() > before


def test_who_has_not_heard_from_the_group_for_as_long_as_its_lease_does_not_call_itself_stable(stage: Stages) -> None:
    s = stage(partitions=1)
    told = Told()
    with member(s, told, KAFKA_SESSION_TIMEOUT_MS="30000") as consumer:
        wait_until(lambda: [consumer.poll(POLL)] and consumer.membership() is Membership.STABLE, "the group", 30)
        consumer._heard.at -= 30.0  # as if no heartbeat had been answered since
        assert consumer.membership() is Membership.DISCONNECTED
        wait_until(lambda: [consumer.poll(POLL)] and consumer.membership() is Membership.STABLE, "an answer", 10)


def test_the_last_commit_is_judged_by_its_own_answer(stage: Stages) -> None:
    """Where the coordinator must be found first, the library hands out the lookup's end for the commit's."""
    s = stage(partitions=1)
    told = Told()
    with member(s, told, KAFKA_SESSION_TIMEOUT_MS="20000") as consumer:
        wait_until(lambda: [consumer.poll(POLL)] and told.owned, "the partition", 30)
        coordinator = consumer._consumer._coordinator

        async def refuse(*_: Any) -> None:
            raise RebalanceInProgressError

        coordinator._send_offset_commit_request = refuse
        coordinator.coordinator_dead("a lost connection")
        going, told.owned = {TopicPartition(*partition) for partition in told.owned}, set()
        consumer._consumer._net.run(consumer._listener.on_partitions_revoked, going)
        assert [type(error) for error in told.refused] == [RebalanceInProgressError]


def test_a_poll_waits_while_a_heartbeat_is_overdue(stage: Stages) -> None:
    """The library would go round and round as long as the group does not answer, and leave some MB a second behind."""
    s = stage(partitions=1)
    told = Told()
    with member(s, told, KAFKA_SESSION_TIMEOUT_MS="20000") as consumer:
        wait_until(lambda: consumer.poll(0.2) is not None and told.owned, "the partition", 20)
        client, rounds = consumer._consumer, 0
        poll_once = client._poll_once

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal rounds
            rounds += 1
            return poll_once(*args, **kwargs)

        client._poll_once = counted
        client._coordinator.time_to_next_heartbeat = lambda: 0.0
        consumer.poll(0.5)
        assert 1 <= rounds <= 20


def test_who_stops_while_others_join_commits_what_it_has_sent(stage: Stages) -> None:
    """The brokers take no commit while they wait for a member. It is a matter of seconds, which a drain has."""
    s = stage(partitions=4)
    late, third = Told(), Told()
    patient = {"KAFKA_SESSION_TIMEOUT_MS": "20000"}
    with worker(**s.settings()) as w, member(s, late, **patient) as dawdles:
        with polled(dawdles):
            wait_until(lambda: late.owned and w.metrics()["assigned_partitions"] == 2, "both to have their share", 30)
            s.api.set_faults([{"latency": 2_000}])
            s.produce([replace(cart(str(number)), partition=number) for number in range(4)])
            wait_until(lambda: s.api.state().in_flight == 2, "its requests", 20)
        with member(s, third, **patient) as joins, polled(joins):
            wait_until(lambda: "joining" in [line["state"] for line in w.logged("membership")][-1:], "a round", 30)
            w.signal(signal.SIGTERM)
            wait_until(lambda: s.api.state().in_flight == 0, "its answers", 20)
            before = w.metrics()["commits_total{result=failure}"]
            wait_until(lambda: w.metrics()["commits_total{result=failure}"] > before, "a refusal")
            with polled(dawdles):
                assert w.exit_code() == 0
        (drained,) = w.logged("drained")
    assert (drained["committed"], drained["left_uncommitted"]) == (True, 0)
    assert len([offset for offset in s.committed().values() if offset == 1]) == 2


def test_an_error_that_a_broker_can_not_name_is_met_by_trying_again(stage: Stages) -> None:
    """Any exception of a broker while it reads a log. Taken for final, it would end one owner after the other."""
    s = stage(partitions=4)
    told, read = Told(), set[tuple[int, int]]()
    s.produce([replace(cart(str(number)), partition=number % 4) for number in range(40)])
    with member(s, told, KAFKA_SESSION_TIMEOUT_MS="20000") as consumer:
        network = consumer._consumer._manager
        send, spoiled = network.send, set[int]()

        def spoil(answer: Any) -> None:
            for partition in [each for topic in answer.responses for each in topic.partitions]:
                if partition.partition_index not in spoiled and partition.partition_index % 2:
                    partition.error_code = -1
                    spoiled.add(partition.partition_index)

        def spoiling(request: Any, *args: Any, **kwargs: Any) -> Any:
            answer = send(request, *args, **kwargs)
            return answer.add_callback(spoil) if type(request).__name__.startswith("Fetch") else answer

        network.send = spoiling
        refused: list[str] = []

        def all_read() -> bool:
            try:
                batches = consumer.poll(POLL)
            except UnavailableError as error:
                refused.append(str(error))
            else:
                read.update((at.partition, record.offset) for at, records in batches.items() for record in records)
            return len(read) == 40

        wait_until(all_read, "every record", 30)
    assert spoiled == {1, 3}
    assert refused
