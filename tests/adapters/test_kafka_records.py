"""Batches that no broker would refuse, and a consumer should."""

from collections.abc import Callable

import pytest
import zstandard
from kafka.codec import snappy_encode
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatchBuilder

from worker.adapters.kafka import records
from worker.adapters.kafka.decompression import LimitExceededError, decompress
from worker.adapters.kafka.records import HEADER_OVERHEAD, Batch, BatchTooLargeError

LIMIT = 100_000
CODECS = {"gzip": Batch.CODEC_GZIP, "snappy": Batch.CODEC_SNAPPY, "lz4": Batch.CODEC_LZ4, "zstd": Batch.CODEC_ZSTD}


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


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_what_comes_to_more_than_the_limit_is_named_and_not_held(codec: int) -> None:
    made = batch(codec, b"x" * 15 * LIMIT)
    assert len(made._buffer) < LIMIT
    with pytest.raises(BatchTooLargeError, match="more than 100000 bytes"):
        next(iter(made))


def test_the_size_that_a_zstd_frame_announces_is_not_believed() -> None:
    """A frame that says 8 EiB is read by what it holds; so is one that says nothing."""
    content = Batch(batch(Batch.CODEC_NONE, b"{}")._buffer)._buffer[61:]
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(content))
    assert bytes(decompress(Batch.CODEC_ZSTD, memoryview(silent), LIMIT)) == bytes(content)
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 50 * LIMIT)
    with pytest.raises(LimitExceededError):
        decompress(Batch.CODEC_ZSTD, memoryview(bomb), LIMIT)
    liar = b"\x28\xb5\x2f\xfd" + b"\xc0\x00" + (2**63 - 1).to_bytes(8, "little") + b"\x01\x00\x00"
    assert not decompress(Batch.CODEC_ZSTD, memoryview(liar), LIMIT)


@pytest.mark.parametrize("framed", [True, False], ids=["xerial", "raw"])
def test_a_snappy_block_that_announces_too_much_is_not_decompressed(framed: bool) -> None:
    data = snappy_encode(b"x" * 20 * LIMIT, xerial_compatible=framed, xerial_blocksize=LIMIT)
    with pytest.raises(LimitExceededError):
        decompress(Batch.CODEC_SNAPPY, memoryview(data), LIMIT)


def test_a_record_with_headers_beyond_all_measure_is_too_large() -> None:
    """Each costs the interpreter fifty times what it takes on the wire."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=999_999_999,
    )  # fmt: skip
    builder.append(0, 0, b"cart:1", b"{}", [("", b"")] * (LIMIT // HEADER_OVERHEAD + 1))
    made = Batch(builder.build())
    assert len(made._buffer) < LIMIT
    with pytest.raises(BatchTooLargeError):
        list(made)


def _cut(data: bytearray) -> bytearray:
    return data[:-20]


def _garbled(data: bytearray) -> bytearray:
    return data[:61] + b"\x00" * (len(data) - 61)


@pytest.mark.parametrize("spoil", [_cut, _garbled])
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_what_can_not_be_decompressed_is_a_damaged_batch(codec: int, spoil: Callable[[bytearray], bytearray]) -> None:
    made = batch(codec, bytes(range(256)) * 40)
    with pytest.raises(CorruptRecordError):
        list(Batch(spoil(bytearray(made._buffer))))
