"""The worker seen from outside: one consistent snapshot for metrics, and the answers to the health checks."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.core.circuit_breaker import KINDS
from worker.core.outbox import Outbox
from worker.core.ownership import Partition
from worker.engine.shared_queue import SharedQueue
from worker.engine.view import View
from worker.ports import Health, Membership, PartitionState, Snapshot

#: A member that joins again, as in a rebalance, counts as being in the group for this long (s).
JOINING_IS_FINE_FOR = 60.0


@dataclass(slots=True)
class Status:
    """`stalled` says what does not turn over any more, if anything; `draining`, whether the worker is stopping."""

    queue: SharedQueue
    view: View
    stalled: Callable[[], str | None]
    draining: Callable[[], bool]

    def snapshot(self) -> Snapshot:
        with self.queue.outbox() as outbox:
            now = self.queue.clock()
            oldest = outbox.oldest_read_at()
            return Snapshot(
                counts=outbox.counts.copy(),
                pending=outbox.pending,
                pending_bytes=outbox.pending_bytes,
                unsettled=outbox.unsettled,
                in_flight=outbox.in_flight,
                oldest_unsettled=0.0 if oldest is None else now - oldest,
                partitions=self._partitions(outbox, now),
                intake_paused=self.view.paused,
                sending_paused=_sending_paused(outbox, now),
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
        with self.queue.outbox() as outbox:
            if outbox.breakers.key.reason is not None:
                reasons.append("the API refuses the key")
        return reasons

    def _in_group(self) -> bool:
        view = self.view
        if view.membership is Membership.STABLE:
            return True
        since = view.unstable_since
        return view.joined_once and since is not None and self.queue.clock() - since < JOINING_IS_FINE_FOR

    def _partitions(self, outbox: Outbox, now: float) -> dict[Partition, PartitionState]:
        """Past its lease a worker owns nothing that it knows of.

        Shown as its own, what nobody reads would have no lag here: a stop in a quiet hour would be silent.
        """
        states: dict[Partition, PartitionState] = {}
        if now >= outbox.lease_until:
            return states
        for partition, owner in outbox.owned.items():
            sample = self.view.ends.get(partition)
            end = None if sample is None else sample.high_watermark
            if end is not None and owner.position is not None:
                end = max(end, owner.position)  # what was read since the end was asked for
            still = self.view.open_transactions.get(partition, 0.0)
            states[partition] = PartitionState(end, owner.position, owner.committed, still)
        return states


def _sending_paused(outbox: Outbox, now: float) -> frozenset[tuple[str, str]]:
    """Kinds with the reason. What stops everything stops either kind."""
    paused = {(str(kind), str(reason)) for kind, reason in outbox.breakers.paused()}
    if now < outbox.pause.until:
        paused |= {(kind, "retry_after") for kind in KINDS}
    return frozenset(paused)
