"""Record batches as the client reads them, but within bounds, without needless copies, and leniently where it must.

- A batch larger than `MAX_BATCH_BYTES` once it is decompressed raises BatchTooLargeError; so does a record whose
  headers alone would take more in the interpreter. `worker.adapters.kafka.bounded_fetch` says what comes of that.
- The library copies each batch, and each value twice. A record of 10 MB would be held five times.
- Names of headers need not be UTF-8: some producers write others, and other clients read them. The library takes the
  whole batch for damaged.
"""

from typing import Any, Final

from kafka.errors import CorruptRecordError, KafkaError
from kafka.record import memory_records
from kafka.record.default_records import ControlRecord, DefaultRecord, DefaultRecordBatch
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.util import decode_varint

from worker.adapters.kafka.decompression import LimitExceededError, decompress

#: What a batch may come to, decompressed (bytes).
MAX_BATCH_BYTES = 64 * 1024 * 1024
#: What a header takes in the interpreter beside its name and value, about (bytes).
HEADER_OVERHEAD: Final = 160


class BatchTooLargeError(KafkaError):  # type: ignore[misc]
    """A batch that is not read. It ends before the offset `next_offset`."""

    def __init__(self, base_offset: int, next_offset: int) -> None:
        super().__init__(f"a batch of more than {MAX_BATCH_BYTES} bytes once it is decompressed")
        self.base_offset, self.next_offset = base_offset, next_offset


class Batch(DefaultRecordBatch):  # type: ignore[misc]
    """Iterating raises BatchTooLargeError for what is too large, CorruptRecordError for what is damaged."""

    _buffer: Any
    _pos: int
    _decompressed: bool

    def __init__(self, buffer: Any) -> None:
        self._buffer = memoryview(buffer)
        self._header_data = self.HEADER_STRUCT.unpack_from(self._buffer)
        self._pos = self.HEADER_STRUCT.size
        self._num_records = self._header_data[12]
        self._next_record_index = 0
        self._decompressed = False

    def _maybe_uncompress(self) -> None:
        if self._decompressed:
            return
        if self.size_in_bytes > MAX_BATCH_BYTES:
            raise self._too_large()
        if self.compression_type != self.CODEC_NONE:
            self._assert_has_codec(self.compression_type)
            try:
                found = decompress(self.compression_type, self._buffer[self._pos :], MAX_BATCH_BYTES)
            except LimitExceededError:
                raise self._too_large() from None
            self._buffer, self._pos = memoryview(found), 0
        self._decompressed = True

    def _read_msg(self) -> Any:
        """As the library's, with values copied once and names of headers read leniently."""
        buffer = self._buffer
        length, start = decode_varint(buffer, self._pos)
        _, pos = decode_varint(buffer, start)  # attributes, of which there are none
        delta, pos = decode_varint(buffer, pos)
        timestamp = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + delta
        offset_delta, pos = decode_varint(buffer, pos)
        key, pos = _piece(buffer, pos)
        value, pos = _piece(buffer, pos)
        count, pos = decode_varint(buffer, pos)
        if count < 0:
            raise CorruptRecordError(f"a record with {count} headers")
        if count * HEADER_OVERHEAD > MAX_BATCH_BYTES:
            raise self._too_large()
        headers = []
        for _ in range(count):
            size, pos = decode_varint(buffer, pos)
            if size < 0:
                raise CorruptRecordError(f"a header whose name has {size} bytes")
            name = str(buffer[pos : pos + size], "utf-8", "backslashreplace")
            content, pos = _piece(buffer, pos + size)
            headers.append((name, content))
        if pos - start != length:
            raise CorruptRecordError(f"a record of {length} bytes that takes {pos - start}")
        self._pos = pos
        kind = ControlRecord if self.is_control_batch else DefaultRecord
        return kind(length, self.base_offset + offset_delta, timestamp, self.timestamp_type, key, value, headers)

    def _too_large(self) -> BatchTooLargeError:
        return BatchTooLargeError(self.base_offset, self.next_offset)


def _piece(buffer: memoryview, pos: int) -> tuple[bytes | None, int]:
    """Bytes with their length before them, and where they end; a negative length: none."""
    size, pos = decode_varint(buffer, pos)
    return (None, pos) if size < 0 else (bytes(buffer[pos : pos + size]), pos + size)


class LegacyBatch(LegacyRecordBatch):  # type: ignore[misc]
    """A batch of the formats before Kafka 0.11, which topics that old may still hold."""

    def _decompress(self, key_offset: int) -> Any:
        old_lz4 = self._magic == 0 and self.compression_type == self.CODEC_LZ4
        if old_lz4:  # a frame whose checksum only the library's own reader accepts
            return super()._decompress(key_offset)
        _, value_at = _sized(self._buffer, key_offset)
        data, _ = _sized(self._buffer, value_at)
        self._assert_has_codec(self.compression_type)
        try:
            return decompress(self.compression_type, data, MAX_BATCH_BYTES)
        except LimitExceededError:
            raise BatchTooLargeError(self.base_offset, self.base_offset + 1) from None


def _sized(buffer: memoryview, pos: int) -> tuple[memoryview, int]:
    """Bytes with their length in four bytes before them, and where they end."""
    size = max(0, int.from_bytes(buffer[pos : pos + 4], "big", signed=True))
    return buffer[pos + 4 : pos + 4 + size], pos + 4 + size


def read_any_batch() -> None:
    """From now on every consumer of this process does."""
    memory_records.DefaultRecordBatch = Batch
    memory_records.LegacyRecordBatch = LegacyBatch
