"""The worker seen from outside: one consistent snapshot for metrics, and the answers to the health checks."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.core.circuit_breaker import KINDS
from worker.core.delivery_queue import DeliveryQueue
from worker.core.state import Partition
from worker.engine.poll_status import PollStatus
from worker.engine.shared_queue import SharedQueue
from worker.ports import Health, Membership, PartitionState, Snapshot

#: A member that joins again, as in a rebalance, counts as being in the group for this long (s).
JOINING_IS_FINE_FOR = 60.0


@dataclass(slots=True)
class Status:
    """`stalled` says what does not turn over any more, if anything; `draining`, whether the worker is stopping."""

    queue: SharedQueue
    view: PollStatus
    stalled: Callable[[], str | None]
    draining: Callable[[], bool]

    def snapshot(self) -> Snapshot:
        with self.queue.locked() as deliveries:
            now = self.queue.clock()
            oldest = deliveries.oldest_read_at()
            return Snapshot(
                counts=deliveries.counts.copy(),
                pending=deliveries.pending,
                pending_bytes=deliveries.pending_bytes,
                unsettled=deliveries.unsettled,
                in_flight=deliveries.in_flight,
                oldest_unsettled=0.0 if oldest is None else now - oldest,
                partitions=self._partitions(deliveries, now),
                intake_paused=self.view.paused,
                sending_paused=_sending_paused(deliveries, now),
                rebalances=self.view.rebalances.copy(),
                commits=self.view.commits.copy(),
                polled_at=self.view.polled_at_wall,
            )

    def healthz(self) -> Health:
        stalled = self.stalled()
        return Health(() if stalled is None else (stalled,))

    def readyz(self) -> Health:
        return Health(tuple(self._not_ready()), self.view.last_events, tuple(sorted(self.view.paused)))

    def _not_ready(self) -> list[str]:
        reasons = []
        if self.draining():
            reasons.append("draining: the worker is stopping")
        if not self._in_group():
            reasons.append(f"not in the consumer group: {self.view.membership}")
        reasons += [f"topic {topic} does not exist, or this user may not see it" for topic in self.view.missing_topics]
        with self.queue.locked() as deliveries:
            if deliveries.breakers.key.reason is not None:
                reasons.append("the API refuses the key")
        return reasons

    def _in_group(self) -> bool:
        view = self.view
        if view.membership is Membership.STABLE:
            return True
        since = view.unstable_since
        return view.joined_once and since is not None and self.queue.clock() - since < JOINING_IS_FINE_FOR

    def _partitions(self, deliveries: DeliveryQueue, now: float) -> dict[Partition, PartitionState]:
        """Past its lease a worker owns nothing that it knows of.

        Shown as its own, what nobody reads would have no lag here: a stop in a quiet hour would be silent.
        """
        states: dict[Partition, PartitionState] = {}
        if now >= deliveries.lease_until:
            return states
        for partition, owner in deliveries.owned.items():
            sample = self.view.ends.get(partition)
            end = None if sample is None else sample.high_watermark
            if end is not None and owner.position is not None:
                end = max(end, owner.position)  # what was read since the end was asked for
            still = self.view.open_transactions.get(partition, 0.0)
            states[partition] = PartitionState(end, owner.position, owner.committed, still)
        return states


def _sending_paused(deliveries: DeliveryQueue, now: float) -> frozenset[tuple[str, str]]:
    """Kinds with the reason. What stops everything stops either kind."""
    paused = {(str(kind), str(reason)) for kind, reason in deliveries.breakers.paused()}
    if now < deliveries.pause.until:
        paused |= {(kind, "retry_after") for kind in KINDS}
    return frozenset(paused)
