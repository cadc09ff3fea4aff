"""The ends of partitions' logs, asked for beside the poll loop. Private parts of kafka-python 3.0.12, which is pinned.

The library's own `end_offsets()` blocks for as long as a leader is away, and answers with the last stable offset only
where `read_committed` is set. It has one isolation level for a whole consumer.
"""

import copy
from collections.abc import Iterable
from typing import Any

import structlog
from kafka.structs import TopicPartition

from worker.core.state import Partition
from worker.ports import LogEnd

log = structlog.get_logger(__name__)

_LATEST = -1
_WITHIN_MS = 10_000


class LogEnds:
    """Asks for both ends of a log, one question at a time. One thread only; nothing here blocks."""

    def __init__(self, consumer: Any) -> None:
        self._manager = consumer._manager
        self._committed = consumer._fetcher
        # The same client and state but for the isolation level.
        self._uncommitted = copy.copy(consumer._fetcher)
        self._uncommitted._isolation_level = 0
        self._future: Any = None

    def request(self, partitions: Iterable[Partition]) -> None:
        """Starts a question; ignored while one is under way."""
        question = {TopicPartition(*partition): _LATEST for partition in partitions}
        if self._future is None and question:
            self._future = self._manager.call_soon(self._ask, question)

    def answered(self) -> dict[Partition, LogEnd]:
        """What arrived since the last call."""
        future = self._future
        if future is None or not future.is_done:
            return {}
        self._future = None
        if not future.succeeded():
            log.debug("log ends are not known", error=str(future.exception))
            return {}
        answers: dict[Partition, LogEnd] = future.value
        return answers

    async def _ask(self, question: dict[TopicPartition, int]) -> dict[Partition, LogEnd]:
        """The high watermark first: a transaction that ends in between is not taken for one that is open."""
        high = await self._uncommitted._fetch_offsets_by_times_async(question, _WITHIN_MS)
        stable = await self._committed._fetch_offsets_by_times_async(question, _WITHIN_MS)
        return {
            Partition(*at): LogEnd(max(high[at].offset, stable[at].offset), stable[at].offset)
            for at in stable.keys() & high.keys()
        }
