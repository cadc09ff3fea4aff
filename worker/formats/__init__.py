"""What is on the topic and what is sent: a record's value as an event, an event as the API's form body.

`read` is the one way of reading: whoever asks about the same bytes gets the same answer. The rules are those of
docs/events.md.
"""

from dataclasses import replace

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


def encode(value: bytes, config: ReadConfig, key: str, link: tuple[str | None, str | None] | None = None) -> Form:
    """The request for a value that `read` answers with an Event. `link`: the call id and the agent that it has.

    What the value says of these itself counts first. Raises ValueError for another value: the caller has read it
    before, by the same configuration.
    """
    event = read(value, config)
    if not isinstance(event, Event):
        raise ValueError(f"not an event: {type(event).__name__}")  # noqa: TRY004 (the value is wrong, not its type)
    if link is not None:
        inherited = (None if event.call_id else link[0], None if event.agent else link[1])
        if any(inherited):
            return _with_link(event, value, config, key, inherited)
    return form.encode(event.content, key)


def _with_link(event: Event, value: bytes, config: ReadConfig, key: str, link: tuple[str | None, str | None]) -> Form:
    """The request with a link that the value lacks. The products make room for it as for their other fields.

    Where not even an event without products has room, the link is left out: it must not cost the event.
    """
    more = form.link(*link)
    roomy = read(value, replace(config, limits=config.limits.less(more.count("&"), len(more))))
    if not isinstance(roomy, Event):
        return form.encode(event.content, key)
    content = roomy.content
    content.call_id, content.agent = content.call_id or link[0], content.agent or link[1]
    return form.encode(content, key)
