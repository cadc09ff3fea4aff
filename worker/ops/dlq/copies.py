"""What a letter's copy is, and how it is known again in the log: by its content.

Its place would not do: the answer that tells it may get lost, the client then writes it twice, and a run that was
killed has told nobody.
"""

from collections.abc import Iterable
from hashlib import blake2b

from worker.adapters.kafka.writer import NewRecord
from worker.ops.dlq.letter import AGENT, CALL_ID, REDRIVES, DeadLetter
from worker.ports import Record


def copy_of(letter: DeadLetter, record: Record) -> NewRecord:
    """Into its own partition, whatever the producer's partitioner was: an entity's states share one.

    The letter must have an origin. The record is the letter, or the original one where the letter is truncated: it may
    lack key and headers too.
    """
    assert letter.origin is not None  # noqa: S101 - for the type checker
    inherited = ((CALL_ID, letter.call_id), (AGENT, letter.agent))
    headers = (
        *DeadLetter.of(letter.where.at, record).own_headers,
        (REDRIVES, str(letter.redrives + 1).encode()),
        *((name, text.encode()) for name, text in inherited if text is not None),
    )
    return NewRecord(letter.origin.at, record.key, record.value or b"", headers)


def is_of(letter: DeadLetter, record: Record) -> bool:
    """Whether that record is the truncated letter's. A topic that was created anew has others at its offsets."""
    return record.timestamp == letter.timestamp and letter.key in (None, record.key)


def fingerprint(record: NewRecord | Record) -> bytes:
    """Equal for records of the same key, value and headers, wherever and whenever they were written."""
    digest = blake2b(digest_size=16)
    for part in _parts(record):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.digest()


def _parts(record: NewRecord | Record) -> Iterable[bytes | None]:
    yield record.key
    yield record.value
    for name, value in record.headers:
        yield name.encode(errors="backslashreplace")
        yield value or b""  # the client refuses null values
