"""What the library's membership of a group lacks: methods of one client's coordinator are replaced here.

All of them are private parts of kafka-python 3.0.12, which is pinned.
"""

import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka.structs import TopicPartition

from worker.adapters.kafka.listener import DIRTY_MARKER
from worker.core.state import Partition
from worker.ports import Rebalance

#: What a poll waits at least, if it finds nothing (s).
LEAST_POLL_WAIT = 0.05


class Heard:
    """When the group last took us for a member: a heartbeat's answer, or the end of a join.

    It counts from when the group was asked. An answer may have lain there while this process was frozen; its partitions
    may be others' by then.
    """

    def __init__(self, coordinator: Any) -> None:
        #: Monotonic seconds; 0: never.
        self.at = 0.0
        heartbeat, enable = coordinator.heartbeat, coordinator._enable_heartbeat
        received, joined = heartbeat.received_heartbeat, coordinator._process_join_group_response
        synced_at = 0.0

        def received_heartbeat() -> None:
            received()
            self.at = max(self.at, heartbeat.last_send)

        def process_join_group_response(*args: Any) -> Any:
            nonlocal synced_at
            answer = joined(*args)
            synced_at = time.monotonic()  # SyncGroup is sent next, and its end begins a session
            return answer

        def enable_heartbeat() -> None:
            self.at = max(self.at, synced_at)
            # An answer that nobody waited for would be taken when the same partitions are asked for again.
            coordinator._offset_fetch_futures.clear()
            enable()

        heartbeat.received_heartbeat = received_heartbeat
        coordinator._process_join_group_response = process_join_group_response
        coordinator._enable_heartbeat = enable_heartbeat


def watch_joins(consumer: Any, lose: Callable[[Iterable[TopicPartition]], None], *, tells_generation: bool) -> None:
    """Who joins without its former generation has lost what it had: others own it by now.

    The library tells that before a join only, not where it is the answer to one. And its cooperative assignor goes on
    claiming those partitions, whereupon the leader hands them out while their owners still have them.

    `tells_generation`: as the Java client does, in its form. A join that says nothing new starts no rebalance.
    """
    coordinator = consumer._coordinator
    says = coordinator.group_protocols

    def group_protocols() -> Any:
        if coordinator._generation.is_lost():
            lose(consumer.assignment())
            consumer._subscription.assign_from_subscribed([])
            for assignor in coordinator._assignors.values():
                assignor.member_assignment = None
        protocols = says()
        if tells_generation:
            for _, metadata in protocols:
                metadata.user_data = struct.pack(">i", coordinator._generation.generation_id)
        return protocols

    coordinator.group_protocols = group_protocols


def wait_for_heartbeats(coordinator: Any) -> None:
    """While a heartbeat is overdue the library's poll does not wait at all, but goes round and round.

    Heartbeats are its own thread's work. Each round leaves cycles behind, which nobody collects for a long time.
    """
    seconds = coordinator.time_to_next_poll
    coordinator.time_to_next_poll = lambda: max(LEAST_POLL_WAIT, seconds())


def read_notes(coordinator: Any, rebalance: Rebalance, without: Callable[[Partition], None]) -> None:
    """Reads the dirty marker together with the committed offset, when a partition is assigned.

    `without` is called on the client's own thread for each partition without a committed offset.
    """
    fetch = coordinator.fetch_committed_offsets_async

    async def fetch_committed_offsets_async(partitions: Any, *args: Any, **kwargs: Any) -> Any:
        offsets = await fetch(partitions, *args, **kwargs)
        for partition in set(partitions) - offsets.keys():
            without(Partition(*partition))
        dirty = [Partition(*partition) for partition, offset in offsets.items() if offset.metadata == DIRTY_MARKER]
        if dirty:
            rebalance.found_dirty(dirty)
        return offsets

    coordinator.fetch_committed_offsets_async = fetch_committed_offsets_async
