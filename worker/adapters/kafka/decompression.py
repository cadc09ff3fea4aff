"""Decompression of record batches within a bound, whatever a frame's header claims.

Two kilobytes of zstd can hold 50 MB, and a frame's announced size may be absent or a lie. So nothing here allocates by
an announcement: output is read in pieces and counted. Snappy has no such reader, but each of its blocks begins with
the size that it must have, which its decoder enforces.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from struct import unpack_from
from typing import IO, Any

import lz4.frame
import snappy
import zstandard
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

#: Set in each byte of a number that another byte follows.
_MORE = 0x80
_CHUNK = 512 * 1024
_XERIAL_MAGIC, _XERIAL_HEADER = b"\x82SNAPPY\x00", 16
_READERS: dict[int, Callable[[memoryview], Any]] = {
    DefaultRecordBatch.CODEC_GZIP: lambda data: gzip.GzipFile(fileobj=BytesIO(data)),
    DefaultRecordBatch.CODEC_LZ4: lambda data: lz4.frame.LZ4FrameFile(BytesIO(data)),
    DefaultRecordBatch.CODEC_ZSTD: lambda data: zstandard.ZstdDecompressor().stream_reader(
        data, read_across_frames=True
    ),
}
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, zlib.error, zstandard.ZstdError, snappy.UncompressError)


class LimitExceededError(Exception):
    """The output would be larger than the limit."""


def decompress(codec: int, data: memoryview, limit: int) -> bytearray:
    """The output, of at most `limit` bytes; holds that much and one piece more at the most.

    Raises LimitExceededError, and CorruptRecordError for what can't be decompressed.
    """
    found = bytearray()
    try:
        for piece in _snappy(data, limit) if codec == DefaultRecordBatch.CODEC_SNAPPY else _read(_READERS[codec], data):
            if len(found) + len(piece) > limit:
                raise LimitExceededError
            found += piece
    except _DAMAGED as error:
        raise CorruptRecordError(f"a batch that can't be decompressed: {error!r}") from error
    return found


def _read(reader: Callable[[memoryview], IO[bytes]], data: memoryview) -> Iterator[bytes]:
    with reader(data) as compressed:
        while piece := compressed.read(_CHUNK):
            yield piece


def _snappy(data: memoryview, limit: int) -> Iterator[bytes]:
    """Blocks of the framing that Java producers use (xerial), or one block without any."""
    if bytes(data[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        yield _block(data, limit)
        return
    at = _XERIAL_HEADER
    while at < len(data):
        size = unpack_from("!i", data, at)[0] if at + 4 <= len(data) else -1
        if size < 0 or at + 4 + size > len(data):
            raise ValueError("a snappy block that is cut off")
        block = _block(data[at + 4 : at + 4 + size], limit)
        yield block
        limit -= len(block)
        at += 4 + size


def _block(block: memoryview, limit: int) -> bytes:
    size = shift = 0
    for byte in block[:5]:
        size |= (byte & ~_MORE) << shift
        shift += 7
        if not byte & _MORE:
            break
    if size > limit:
        raise LimitExceededError
    return bytes(snappy.uncompress(bytes(block)))
