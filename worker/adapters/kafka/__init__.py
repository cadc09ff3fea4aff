"""kafka-python, behind our own protocols. No other package knows the library.

Verified with 3.0.12, which is pinned: 3.1 rewrites the parts that we read.
"""

from worker.adapters.kafka.bounded_fetch import bound_fetches
from worker.adapters.kafka.consumer import GroupConsumer, rebalance_timeout
from worker.adapters.kafka.dead_letters import DeadLetterTopic
from worker.adapters.kafka.partition_changes import track_changes
from worker.adapters.kafka.records import read_any_batch

read_any_batch()
track_changes()
bound_fetches()

__all__ = ["DeadLetterTopic", "GroupConsumer", "rebalance_timeout"]
