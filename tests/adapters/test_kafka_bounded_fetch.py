"""What one poll takes of what was fetched, without a broker: the library's own fetcher is given answers."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.consumer.fetcher import CompletedFetch
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.structs import TopicPartition

from worker.adapters.kafka import bounded_fetch, records
from worker.adapters.kafka.bounded_fetch import BoundedFetcher
from worker.adapters.kafka.partition_changes import TrackedSubscription
from worker.adapters.kafka.records import Batch
from worker.core.state import Partition
from worker.ports import FatalError, TooLarge

LIMIT = 20_000
POLL = 1_000
CODECS = [Batch.CODEC_NONE, Batch.CODEC_GZIP, Batch.CODEC_SNAPPY, Batch.CODEC_LZ4, Batch.CODEC_ZSTD]

Sizes = list[int]


@pytest.fixture(autouse=True)
def _bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_BATCH_BYTES", LIMIT)
    monkeypatch.setattr(bounded_fetch, "POLL_BYTES", POLL)


class Broker:
    """Logs of batches, and a fetcher that is given what it would have fetched."""

    def __init__(self, logs: list[list[tuple[int, Sizes]]]) -> None:
        self.subscriptions = TrackedSubscription("earliest")
        self.partitions = [TopicPartition("carts", number) for number in range(len(logs))]
        self.subscriptions.assign_from_user(self.partitions)
        manager = SimpleNamespace(_net=None, cluster=None)
        self.fetcher = BoundedFetcher(SimpleNamespace(_manager=manager), self.subscriptions)
        self.logs = {tp: _log(batches) for tp, batches in zip(self.partitions, logs, strict=True)}
        for tp in self.partitions:
            self.subscriptions.seek(tp, 0)

    def fetch(self) -> None:
        """Answers for all that would be asked for."""
        for tp in self.fetcher._fetchable_partitions():
            position = self.subscriptions.position(tp).offset
            data = b"".join(batch for end, batch in self.logs[tp] if end > position)
            answer = SimpleNamespace(
                error_code=0, high_watermark=10_000, diverging_epoch=None, records=data, aborted_transactions=None,
                preferred_read_replica=-1,
            )  # fmt: skip
            self.fetcher._completed_fetches.append(CompletedFetch(tp, position, 12, answer, None))

    def poll(self, max_records: int = 4000) -> dict[TopicPartition, list[Any]]:
        found, _ = self.fetcher.fetched_records(max_records)
        return dict(found)

    def read(self, max_records: int = 4000) -> dict[TopicPartition, list[int]]:
        """Polls until nothing comes: the offsets of each partition, in the order in which they came."""
        offsets: dict[TopicPartition, list[int]] = {tp: [] for tp in self.partitions}
        quiet = 0
        while quiet < 2:
            self.fetch()
            batches = self.poll(max_records)
            sizes = [len(each.value) for batch in batches.values() for each in batch]
            assert len(sizes) <= max_records
            assert sum(sizes) <= POLL or sum(sizes) - sizes[-1] < POLL, "only the last one may exceed the bound"
            for tp, batch in batches.items():
                offsets[tp] += [each.offset for each in batch]
            quiet = 0 if batches else quiet + 1
        return offsets


def _log(batches: list[tuple[int, Sizes]]) -> list[tuple[int, bytes]]:
    """Each batch with the offset after it."""
    log, offset = [], 0
    for codec, sizes in batches:
        builder = DefaultRecordBatchBuilder(
            magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
            batch_size=999_999_999,
        )  # fmt: skip
        for delta, size in enumerate(sizes):
            builder.append(delta, 0, b"", b"x" * size, [])
        data = bytearray(builder.build())
        data[:8] = offset.to_bytes(8, "big")  # as a broker does; the checksum begins after it
        offset += len(sizes)
        log.append((offset, bytes(data)))
    return log


batches_of_any_size = st.lists(
    st.tuples(st.sampled_from(CODECS), st.lists(st.integers(0, 3 * POLL), min_size=1, max_size=6)), max_size=5
)


@settings(deadline=None, max_examples=60)
@given(st.lists(batches_of_any_size, min_size=1, max_size=3), st.integers(1, 7))
def test_every_record_comes_once_and_in_order_whatever_the_sizes(
    logs: list[list[tuple[int, Sizes]]], max_records: int
) -> None:
    broker = Broker(logs)
    expected = [list(range(sum(len(sizes) for _, sizes in log))) for log in logs]
    assert list(broker.read(max_records).values()) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(batches_of_any_size, min_size=1, max_size=3), st.sampled_from(CODECS), batches_of_any_size)
def test_a_batch_that_is_too_large_stops_its_own_partition_at_its_own_place(
    others: list[list[tuple[int, Sizes]]], codec: int, before: list[tuple[int, Sizes]]
) -> None:
    small = [(each, sizes) for each, sizes in before if sum(sizes) < LIMIT]
    broker = Broker([[*small, (codec, [LIMIT, 1]), (codec, [5, 6])], *others])
    start = sum(len(sizes) for _, sizes in small)
    found = broker.read()
    stuck, *free = broker.partitions
    assert found[stuck] == list(range(start))
    assert [found[tp] for tp in free] == [list(range(sum(len(sizes) for _, sizes in log))) for log in others]
    assert broker.fetcher.too_large() == {Partition("carts", 0): TooLarge(start, start + 2)}
    broker.subscriptions.seek(stuck, start + 2)
    assert broker.fetcher.too_large() == {}
    assert broker.read()[stuck] == [start + 2, start + 3]


def test_a_partition_that_was_left_is_looked_at_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention may have removed the batch; then the partition goes on by itself."""
    broker = Broker([[(Batch.CODEC_ZSTD, [LIMIT]), (Batch.CODEC_NONE, [5])]])
    (tp,) = broker.partitions
    monkeypatch.setattr(bounded_fetch, "RETRY_AFTER", -1.0)
    broker.fetch()
    assert broker.poll() == {}
    assert broker.fetcher.too_large() == {Partition("carts", 0): TooLarge(0, 1)}
    del broker.logs[tp][0]
    assert broker.read()[tp] == [1]
    assert broker.fetcher.too_large() == {}


def test_nothing_is_fetched_of_a_partition_while_it_is_left() -> None:
    broker = Broker([[(Batch.CODEC_ZSTD, [LIMIT])]])
    broker.fetch()
    broker.poll()
    assert broker.fetcher._fetchable_partitions() == []


def test_who_must_read_everything_is_told_where_it_stops() -> None:
    broker = Broker([[(Batch.CODEC_ZSTD, [5]), (Batch.CODEC_ZSTD, [LIMIT, 1])]])
    broker.read()
    with pytest.raises(FatalError, match=r"carts-0: the batch at offset 1 .* 3 is the first offset after it"):
        bounded_fetch.refuse_too_large(SimpleNamespace(_fetcher=broker.fetcher))
