"""The group's member, by kafka-python. What is changed in it stands in `worker.adapters.kafka.membership`.

Rebalance listeners run on the client's I/O thread, and only while `poll` (or `close`) waits for them: a join starts
nowhere else. So no partition comes or goes while a batch is being taken in.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog
from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import InconsistentGroupProtocolError, KafkaError, UnknownError

from worker.adapters.kafka.connection import connect, mapped
from worker.adapters.kafka.listener import Listener, offsets_to_commit
from worker.adapters.kafka.log_ends import LogEnds
from worker.adapters.kafka.membership import Heard, read_notes, wait_for_heartbeats, watch_joins
from worker.core.state import Partition
from worker.ports import FatalError, LogEnd, Membership, Rebalance, Record, TooLarge, UnavailableError
from worker.settings import Kafka

log = structlog.get_logger(__name__)

#: Records in one poll, and so by how much a bound can be overshot.
MAX_POLL_RECORDS = 4000
#: How long a poll may take (s), unless the session is longer.
MAX_POLL_INTERVAL = 60.0
#: Polls in a row that find the heartbeat off in a stable group: one may fall between two steps of a join.
POLLS_UNTIL_FENCED = 3
_ASSIGNORS = {"cooperative-sticky": CooperativeStickyAssignor, "range": RangePartitionAssignor}


def rebalance_timeout(settings: Kafka) -> float:
    """How long the others wait for a member that does not answer to a rebalance (s): the client's poll interval.

    The client refuses one that is shorter than the session.
    """
    return max(MAX_POLL_INTERVAL, settings.session_timeout_ms / 1000)


class GroupConsumer:
    """A member of the group that commits by hand. See `worker.ports.Consumer`.

    The constructor connects, which may block for `connect_timeout` seconds. Raises UnavailableError if no broker
    answers, FatalError if they refuse us.
    """

    def __init__(
        self, settings: Kafka, rebalance: Rebalance, *, in_flight_at_most: float, connect_timeout: float = 5.0
    ) -> None:
        self._topics = settings.topics
        self._assignor, self._group = settings.assignor, settings.group_id
        self._static = settings.group_instance_id is not None
        eager = settings.assignor != "cooperative-sticky"
        self._fenced_for = 0
        self._without_offset: deque[Partition] = deque()
        # What starts before the lease has ended is over before the session is, unless that is very short.
        session = settings.session_timeout_ms / 1000
        self._lease = max(session - in_flight_at_most, session * 2 / 3)
        self._consumer = connect(
            KafkaConsumer,
            settings,
            client_rack=settings.client_rack or "",
            group_id=settings.group_id,
            group_instance_id=settings.group_instance_id,
            partition_assignment_strategy=[_ASSIGNORS[settings.assignor]],
            auto_offset_reset=settings.auto_offset_reset,
            enable_auto_commit=False,
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=max(1, min(3_000, settings.session_timeout_ms // 3)),
            max_poll_interval_ms=int(rebalance_timeout(settings) * 1000),
            max_poll_records=MAX_POLL_RECORDS,
            # Memory is partitions x the first + brokers x the second, compressed; a larger record comes alone.
            max_partition_fetch_bytes=256 * 1024,
            fetch_max_bytes=8 * 1024 * 1024,
            bootstrap_timeout_ms=int(connect_timeout * 1000),
            # New partitions and topics are seen this late at most.
            metadata_max_age_ms=60_000,
        )
        subscription = self._consumer._subscription
        self._moved, self._unpaused, self._paused = subscription.watch(), subscription.watch(), False
        self._listener = Listener(self._consumer, rebalance, eager=eager, wait_at_most=in_flight_at_most)
        self._consumer.subscribe(topics=list(settings.topics), listener=self._listener)
        # Under eager assignors every rebalance hands out everything in one round.
        self._joins_once_more = self._static and not eager
        coordinator = self._consumer._coordinator
        watch_joins(self._consumer, self._listener.lose, tells_generation=self._joins_once_more)
        wait_for_heartbeats(coordinator)
        read_notes(coordinator, rebalance, self._without_offset.append)
        self._heard = Heard(coordinator)
        self._log_ends = LogEnds(self._consumer)
        self._await_metadata(connect_timeout)

    def poll(self, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        self._finish_join()
        try:
            with mapped("polling"):
                records: Mapping[Partition, Sequence[Record]] = self._consumer.poll(timeout_ms=timeout * 1000)
        except FatalError as error:
            if isinstance(error.__cause__, UnknownError):
                # A broker's word for any exception of its own, about one partition; nothing was handed out with it.
                raise UnavailableError(str(error)) from error
            if isinstance(error.__cause__, InconsistentGroupProtocolError):
                raise FatalError(
                    f"another member of group {self._group} does not share partitions by {self._assignor}:"
                    " KAFKA_ASSIGNOR must be the same for all members; stop the others first"
                ) from error
            raise FatalError(f"{error}; next offsets to read: {self._positions()}") from error
        self._check_fenced()
        if self._listener.failure is not None:
            raise FatalError(f"a rebalance failed: {self._listener.failure!r}") from self._listener.failure
        self._join_once_more()
        return records

    def too_large(self) -> Mapping[Partition, TooLarge]:
        found: Mapping[Partition, TooLarge] = self._consumer._fetcher.too_large()
        return found

    def position(self, partition: Partition) -> int | None:
        state = self._consumer._subscription.assignment.get(partition)
        position = None if state is None else state.position
        return None if position is None else position.offset

    def moved(self) -> Collection[Partition]:
        return [Partition(*partition) for partition in self._moved.take()]

    def pause(self, paused: bool) -> None:
        changed = self._unpaused.take()
        for partition in changed if paused == self._paused else self._consumer.assignment():
            state = self._consumer._subscription.assignment.get(partition)
            if state is not None and state.paused != paused:
                (state.pause if paused else state.resume)()
        self._paused = paused

    def commit(self, offsets: Mapping[Partition, int], done: Callable[[Exception | None], None]) -> None:
        def called_back(_: object, answer: object) -> None:
            done(answer if isinstance(answer, Exception) else None)

        with mapped("committing"):
            self._consumer.commit_async(offsets_to_commit(offsets, offsets), callback=called_back)

    def commit_now(self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition], timeout: float) -> None:
        try:
            self._consumer.commit(offsets_to_commit(offsets, ambiguous), timeout_ms=timeout * 1000)
        except KafkaError as error:
            raise UnavailableError(f"commit: {error}") from error

    def request_ends(self, partitions: Iterable[Partition]) -> None:
        self._log_ends.request(partitions)

    def ends(self) -> dict[Partition, LogEnd]:
        return self._log_ends.answered()

    def without_offset(self) -> set[Partition]:
        return {self._without_offset.popleft() for _ in range(len(self._without_offset))}

    def partitions(self) -> int | None:
        counts = [self._consumer._cluster.partitions_for_topic(topic) for topic in self._topics]
        return None if all(count is None for count in counts) else sum(len(count or ()) for count in counts)

    def missing_topics(self) -> list[str]:
        return [topic for topic in self._topics if not self._consumer._cluster.partitions_for_topic(topic)]

    def membership(self) -> Membership:
        if self._consumer._coordinator.coordinator_unknown():
            return Membership.DISCONNECTED
        if "stable" not in str(self._consumer.group_metadata().state).lower():
            return Membership.JOINING
        # A coordinator that is known and says nothing: what the client takes for a membership may be none.
        return Membership.STABLE if time.monotonic() < self.lease_until() else Membership.DISCONNECTED

    def lease_until(self) -> float:
        return self._heard.at + self._lease

    def _finish_join(self) -> None:
        """A join that has begun is needed until it has ended.

        A leader joins because of new partitions, and as it hands them out, it takes that reason away. A poll that ends
        between this and the group's answer leaves a member that joins no more, sends no heartbeat, and says nothing.
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _check_fenced(self) -> None:
        """A static member whose name another has taken: the library stops its heartbeat and says nothing more."""
        coordinator = self._consumer._coordinator
        silent = coordinator.stable() and not coordinator._heartbeat_enabled and not coordinator.rejoining
        fenced = self._static and silent
        self._fenced_for = self._fenced_for + 1 if fenced else 0
        if self._fenced_for >= POLLS_UNTIL_FENCED:
            raise FatalError("another member of the group has taken this KAFKA_GROUP_INSTANCE_ID")

    def _positions(self) -> dict[str, int | None]:
        owned = [Partition(*partition) for partition in self._consumer.assignment()]
        return {str(partition): self.position(partition) for partition in sorted(owned)}

    def _join_once_more(self) -> None:
        """A static member is given what its predecessor had, without a rebalance (KIP-345).

        If that one ended after it had let partitions go, and before the round that hands them on (KIP-429), they would
        be nobody's until somebody else comes or goes. So a new process asks for a round; nothing else moves in it.
        """
        if self._joins_once_more and self.membership() is Membership.STABLE:
            self._joins_once_more = False
            self._consumer._coordinator.request_rejoin()

    def _await_metadata(self, timeout: float) -> None:
        """Joining before the topics are known would end in an empty assignment, and a second rebalance for nothing."""
        manager = self._consumer._manager
        try:
            manager.run(manager.wait_for, self._consumer._cluster.request_update(), timeout * 1000)
        except KafkaError as error:
            log.debug("the topics are not known yet", error=str(error))

    def close(self, timeout: float) -> None:
        try:
            self._consumer.close(autocommit=False, timeout_ms=timeout * 1000)
        except (KafkaError, OSError, RuntimeError) as error:
            log.warning("the group was not left in good order; its coordinator will notice", error=str(error))
