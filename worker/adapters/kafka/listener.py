"""Rebalances, as the client's I/O thread tells of them."""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kafka import AsyncConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from worker.core.state import Partition
from worker.ports import Rebalance, UnavailableError

#: The dirty marker, as the metadata of a committed offset: requests of the committing worker may be in flight, or be
#: applied later. It is there while a partition has an owner. An owner that leaves no such request clears it.
DIRTY_MARKER = "optico-worker: unclear"
#: A rebalance waits at most this long for its last commit (s).
COMMITTED_WITHIN = 5.0


class Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Hands rebalances on to the engine. Nothing may escape: a listener that raises never joins again."""

    def __init__(self, consumer: Any, rebalance: Rebalance, *, eager: bool, wait_at_most: float) -> None:
        self._consumer = consumer
        self._rebalance = rebalance
        self._eager = eager
        self._wait_at_most = wait_at_most
        self.failure: Exception | None = None

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        try:
            await self._revoke([Partition(*partition) for partition in revoked])
        except Exception as error:  # noqa: BLE001 - see above; the poll loop raises it
            self.failure = error

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        try:
            self._rebalance.assign([Partition(*partition) for partition in assigned], all_of_them=self._eager)
        except Exception as error:  # noqa: BLE001
            self.failure = error

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self.lose(lost)

    def lose(self, lost: Iterable[TopicPartition]) -> None:
        """Partitions that are others' already: nothing of them may be committed."""
        gone = [Partition(*partition) for partition in lost]
        try:
            if gone:
                self._rebalance.release(gone, "lost")
        except Exception as error:  # noqa: BLE001
            self.failure = error

    async def _revoke(self, partitions: list[Partition]) -> None:
        """Waits for what is in flight, commits, lets go.

        Eager assignors revoke everything and mostly give it back: there, what is gone is known after the assignment.
        """
        self._rebalance.suspend(partitions)
        until = time.monotonic() + self._wait_at_most
        while self._rebalance.busy(partitions) and time.monotonic() < until:
            await self._consumer._net.sleep(0.01)
        offsets = self._rebalance.committable(partitions)
        if offsets:
            ambiguous = self._rebalance.ambiguous(partitions)
            self._rebalance.committed(offsets, ambiguous, await self._commit(offsets, ambiguous))
        if not self._eager:
            self._rebalance.release(partitions, "revoked")

    async def _commit(self, offsets: Mapping[Partition, int], ambiguous: Collection[Partition]) -> Exception | None:
        until = time.monotonic() + COMMITTED_WITHIN
        try:
            # Without a coordinator the library hands out its lookup's end for that of the commit.
            if not await self._consumer._coordinator.ensure_coordinator_ready_async(COMMITTED_WITHIN * 1000):
                return UnavailableError("the group's coordinator is not known")
            future = self._consumer.commit_async(offsets_to_commit(offsets, ambiguous))
            await self._consumer._manager.wait_for(future, (until - time.monotonic()) * 1000)
        except KafkaError as error:
            failure: Exception = error
            return failure
        return None


def offsets_to_commit(
    offsets: Mapping[Partition, int], ambiguous: Collection[Partition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """As the client takes them, with the dirty marker for `ambiguous` partitions."""
    return {
        topic_partition(partition): OffsetAndMetadata(offset, DIRTY_MARKER if partition in ambiguous else "", -1)
        for partition, offset in offsets.items()
    }


def topic_partition(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)
