"""What a rebalance leaves the delivery queue with."""

from tests.engine.test_sending_loop import PARTITION, a_queue, add
from worker.engine.rebalance import Rebalancer


def test_after_a_last_commit_of_which_nothing_was_heard_the_note_is_written_again() -> None:
    """It may have arrived, and taken the note away, before the connection broke; then the partition is given back."""
    queue = a_queue()
    rebalancer = Rebalancer(queue, lambda _: None, lambda _: None)
    rebalancer.suspend([PARTITION])
    offsets = rebalancer.committable([PARTITION])
    assert offsets == {PARTITION: 0}
    rebalancer.committed(offsets, rebalancer.ambiguous([PARTITION]), TimeoutError("no answer"))
    rebalancer.assign([PARTITION], all_of_them=True)
    add(queue, 0, "a")
    with queue.locked() as deliveries:
        assert deliveries.awaits_dirty_marker()
        assert deliveries.take(queue.clock()) is None
        deliveries.committed(deliveries.committable(), queue.clock())
        assert deliveries.take(queue.clock()) is not None
