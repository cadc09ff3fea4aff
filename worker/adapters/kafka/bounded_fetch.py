"""The library's fetcher with two bounds that it lacks. In the place of its own for every consumer of the process.

How it works: a broker's answer is kept as it came, compressed, until records are asked for. Then one partition after
the other is unpacked, one batch at a time, while its records are taken. While a partition has an answer that is not
used up, no more of it is fetched. So what is held unpacked is one batch and the records that were taken:

- A poll takes `POLL_BYTES` of records at most, or one larger record. The rest stays where it is until the next poll.
- A batch that is larger than one may be (`records.MAX_BATCH_BYTES`) is dropped, and its partition is fetched no more
  for `RETRY_AFTER` seconds. Other partitions go on. The library would end in an error at every poll.
"""

import time
from itertools import islice
from typing import Any, NamedTuple

from kafka.consumer import group
from kafka.consumer.fetcher import Fetcher
from kafka.structs import TopicPartition

from worker.adapters.kafka.incremental_fetch import IncrementalFetcher
from worker.adapters.kafka.records import HEADER_OVERHEAD, MAX_BATCH_BYTES, BatchTooLargeError
from worker.core.state import Partition
from worker.ports import FatalError, TooLarge

#: What the records of one poll come to, about (bytes). To read megabytes of events takes a good part of a second, in
#: which nothing else of the poll loop's work is done. Of usual events `max_poll_records` come to less.
POLL_BYTES = 1024 * 1024
#: A partition that was left at a batch that is too large is looked at again (s): retention may have removed it.
RETRY_AFTER = 60.0


class _Skipped(NamedTuple):
    position: int
    batch: TooLarge
    until: float


class BoundedFetcher(IncrementalFetcher):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bytes_left = 0
        self._left_out: dict[TopicPartition, _Skipped] = {}

    def too_large(self) -> dict[Partition, TooLarge]:
        """The batches that stopped partitions, as far as these still stand there."""
        found = list(self._left_out.items())
        return {Partition(*tp): left.batch for tp, left in found if self._position(tp) == left.position}

    def fetched_records(self, max_records: int | None = None, update_offsets: bool = True) -> Any:
        self.bytes_left = POLL_BYTES
        return super().fetched_records(max_records, update_offsets=update_offsets)

    def PartitionRecords(self, *args: Any, **kwargs: Any) -> "_Records":  # noqa: N802 - the library's name
        return _Records(self, *args, **kwargs)

    def _append(self, drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:
        try:
            taken: int = super()._append(drained, part, max_records, update_offsets)
        except BatchTooLargeError as error:
            self._leave(part.topic_partition, error)
            part.drain()
            return 0
        return taken if self.bytes_left > 0 else max_records  # which ends the poll

    def _leave(self, tp: TopicPartition, error: BatchTooLargeError) -> None:
        position = self._position(tp)
        if position is not None:
            batch = TooLarge(max(position, error.base_offset), error.next_offset)
            self._left_out[tp] = _Skipped(position, batch, time.monotonic() + RETRY_AFTER)
            self._changed.add(tp)

    def _fetchable_partitions(self) -> list[TopicPartition]:
        return [tp for tp in super()._fetchable_partitions() if tp not in self._left_out or not self._skips(tp)]

    def _is_wanted(self, tp: TopicPartition) -> bool:
        return super()._is_wanted(tp) and (tp not in self._left_out or not self._skips(tp))

    def _due(self, now: float) -> list[TopicPartition]:
        return [*super()._due(now), *(tp for tp, left in self._left_out.items() if now >= left.until)]

    def _skips(self, tp: TopicPartition) -> bool:
        left = self._left_out[tp]
        if self._position(tp) == left.position:
            return time.monotonic() < left.until
        del self._left_out[tp]
        return False

    def _position(self, tp: TopicPartition) -> int | None:
        state = self._subscriptions.assignment.get(tp)
        return None if state is None or state.position is None else state.position.offset


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What is left of one partition's answer."""

    def __init__(self, fetcher: BoundedFetcher, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetcher = fetcher

    def take(self, n: int | None = None) -> list[Any]:
        """As the library's, which knows a bound in records only."""
        self._maybe_raise_next_inline_exception()
        records: list[Any] = []
        left = self._fetcher.bytes_left
        try:
            for record in islice(self.record_iterator, n):
                records.append(record)
                # What is not there has a size of -1.
                left -= 3 + record.serialized_key_size + record.serialized_value_size + record.serialized_header_size
                if record.headers:
                    left -= HEADER_OVERHEAD * len(record.headers)
                if left <= 0:
                    break
        except Exception as error:
            if not records:
                raise
            self._next_inline_exception = error
        self._fetcher.bytes_left = left
        return records


def refuse_too_large(consumer: Any) -> None:
    """For those who must read everything. Raises FatalError if a batch in one of the consumer's partitions is not."""
    for partition, batch in consumer._fetcher.too_large().items():
        raise FatalError(
            f"{partition}: the batch at offset {batch.offset} has more than {MAX_BATCH_BYTES} bytes once it is"
            f" decompressed, and is not read; {batch.next_offset} is the first offset after it"
        )


def bound_fetches() -> None:
    """From now on every consumer of this process does so."""
    group.Fetcher = BoundedFetcher
