"""What is on the topic and what is sent: a record's value as an event, an event as the API's form body.

`read` is the one way of reading: whoever asks about the same bytes gets the same answer. The rules are those of
docs/events.md.
"""

from worker.core.event import Event, Invalid, Skipped
from worker.formats import fast_path, form, full_path
from worker.formats.config import Limits, ReadConfig
from worker.formats.form import Form
from worker.formats.json_schema import schema
from worker.formats.repairs import REPAIRS

__all__ = ["REPAIRS", "Form", "Limits", "ReadConfig", "encode", "read", "schema"]


def read(value: bytes | None, config: ReadConfig, recorded_at: int = -1) -> Event | Skipped | Invalid:
    """What a record's value means. `recorded_at`: the record's timestamp (ms; -1: none). Never raises."""
    if value is None:
        return Skipped("tombstone")
    usual = fast_path.read(value, config, recorded_at)
    return full_path.read(value, config, recorded_at) if usual is None else usual


def encode(value: bytes, config: ReadConfig, key: str) -> Form:
    """The request for a value that `read` answers with an Event.

    Raises ValueError for another one: the caller has read it before, by the same configuration.
    """
    event = read(value, config)
    if not isinstance(event, Event):
        raise ValueError(f"not an event: {type(event).__name__}")  # noqa: TRY004 (the value is wrong, not its type)
    return form.encode(event.content, key)
