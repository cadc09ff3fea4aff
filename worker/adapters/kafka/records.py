"""Records as the client reads them, but for names of headers: no broker looks whether they are UTF-8.

Some producers write others, and other clients read them. This one takes the whole batch for damaged. See
`worker.adapters.kafka` for what holds this to a version of it.
"""

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

_read_msg = DefaultRecordBatch._read_msg


class _Lenient(bytearray):
    """Bytes whose pieces become text whatever they are: what is no UTF-8 is shown as its escape."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, *_: object) -> str:
        return super().decode("utf-8", "backslashreplace")


class Batch(DefaultRecordBatch):  # type: ignore[misc]
    """Reads a record again, leniently, if a name in it is no UTF-8."""

    def _read_msg(self) -> Any:
        try:
            return _read_msg(self)
        except UnicodeDecodeError:
            self._buffer = _Lenient(self._buffer)  # type: ignore[has-type]
            return _read_msg(self)


def read_any_header() -> None:
    """From now on every consumer of this process does."""
    memory_records.DefaultRecordBatch = Batch
