"""Records as the client reads them, but for two things that no broker looks at. See `worker.adapters.kafka` for what
holds this to a version of it.

Names of headers need not be UTF-8: some producers write others, and other clients read them. This one takes the whole
batch for damaged. And what is small may be large once it is decompressed: twenty thousand times as large, by zstd. It
would end one owner after the other for want of memory, without a word.
"""

import gzip
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

import lz4.frame
import zstandard
from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

#: What a batch may come to, decompressed (bytes): as much as may wait altogether, by default.
MAX_BATCH_BYTES = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
#: Snappy is not among them: what it makes is some twenty times as large at most.
_READERS: dict[int, Callable[[Any], Any]] = {
    DefaultRecordBatch.CODEC_GZIP: lambda data: gzip.GzipFile(fileobj=BytesIO(data)),
    DefaultRecordBatch.CODEC_LZ4: lambda data: lz4.frame.LZ4FrameFile(BytesIO(data)),
    DefaultRecordBatch.CODEC_ZSTD: lambda data: zstandard.ZstdDecompressor().stream_reader(
        data, read_across_frames=True
    ),
}

_read_msg = DefaultRecordBatch._read_msg
_maybe_uncompress = DefaultRecordBatch._maybe_uncompress


class _Lenient(bytearray):
    """Bytes whose pieces become text whatever they are: what is no UTF-8 is shown as its escape."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, *_: object) -> str:
        return super().decode("utf-8", "backslashreplace")


class Batch(DefaultRecordBatch):  # type: ignore[misc]
    """Reads a record again, leniently, if a name in it is no UTF-8. Raises CorruptRecordError for what is too large."""

    _buffer: Any
    _pos: int
    _decompressed: bool

    def _maybe_uncompress(self) -> None:
        reader = _READERS.get(self.compression_type)
        if self._decompressed or reader is None:
            _maybe_uncompress(self)
            return
        try:
            with reader(memoryview(self._buffer)[self._pos :]) as compressed:
                self._buffer, self._pos, self._decompressed = _all_of(compressed), 0, True
        except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
            raise CorruptRecordError(f"a batch that can't be decompressed: {error}") from error

    def _read_msg(self) -> Any:
        try:
            return _read_msg(self)
        except UnicodeDecodeError:
            self._buffer = _Lenient(self._buffer)
            return _read_msg(self)


def _all_of(compressed: IO[bytes]) -> bytearray:
    found = bytearray()
    while chunk := compressed.read(_CHUNK):
        found += chunk
        if len(found) > MAX_BATCH_BYTES:
            raise CorruptRecordError(f"a batch of more than {MAX_BATCH_BYTES} bytes once it is decompressed")
    return found


def read_any_batch() -> None:
    """From now on every consumer of this process does."""
    memory_records.DefaultRecordBatch = Batch
