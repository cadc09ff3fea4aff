"""Batches that no broker would refuse, and a consumer should."""

from collections.abc import Callable

import pytest
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatchBuilder

from worker.adapters.kafka import records
from worker.adapters.kafka.records import Batch

LIMIT = 100_000
CODECS = {"gzip": Batch.CODEC_GZIP, "snappy": Batch.CODEC_SNAPPY, "lz4": Batch.CODEC_LZ4, "zstd": Batch.CODEC_ZSTD}
BOUNDED = [CODECS[name] for name in ("gzip", "lz4", "zstd")]


def batch(codec: int, *values: bytes) -> Batch:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=999_999_999,
    )  # fmt: skip
    for offset, value in enumerate(values):
        builder.append(offset, 0, b"cart:1", value, [])
    return Batch(bytearray(builder.build()))


@pytest.fixture(autouse=True)
def _limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_BATCH_BYTES", LIMIT)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("values", [[b""], [b"{}", b"x" * 1000], [b"x" * (LIMIT - 100)]], ids=["empty", "two", "large"])
def test_what_is_within_the_limit_is_read_as_it_was_written(codec: int, values: list[bytes]) -> None:
    assert [record.value for record in batch(codec, *values)] == values


@pytest.mark.parametrize("codec", BOUNDED)
def test_what_comes_to_more_than_the_limit_is_named_and_not_held(codec: int) -> None:
    made = batch(codec, b"x" * 50 * LIMIT)
    assert len(made._buffer) < LIMIT
    with pytest.raises(CorruptRecordError, match="more than 100000 bytes"):
        next(iter(made))


def _cut(data: bytearray) -> bytearray:
    return data[:-20]


def _garbled(data: bytearray) -> bytearray:
    return data[:61] + b"\x00" * (len(data) - 61)


@pytest.mark.parametrize("spoil", [_cut, _garbled])
@pytest.mark.parametrize("codec", BOUNDED)
def test_what_can_not_be_decompressed_is_a_damaged_batch(codec: int, spoil: Callable[[bytearray], bytearray]) -> None:
    made = batch(codec, bytes(range(256)) * 40)
    with pytest.raises(CorruptRecordError):
        list(Batch(spoil(made._buffer)))
