"""A redriven record has its letter's inherited link to a call in headers: its value does not say it."""

import re
from collections.abc import Sequence
from typing import Final

from worker.core.event import Event, Invalid, Skipped
from worker.ports import Record

_CALL_ID: Final = "dlq.call_id"
_AGENT: Final = "dlq.agent"
#: A producer may set the header too, and it becomes part of the request as it is.
_is_call_id: Final = re.compile(rb"-?[1-9][0-9]{0,17}").fullmatch


def take_over_links(records: Sequence[Record], decoded: list[Event | Skipped | Invalid]) -> None:
    """Gives events the `call_id` and the `agent` of their records' headers, where they lack them."""
    for at in [at for at, record in enumerate(records) if record.headers]:
        one = decoded[at]
        if not isinstance(one, Event):
            continue
        said = {name: value for name, value in records[at].headers if name in (_CALL_ID, _AGENT) and value}
        if not _is_call_id(said.get(_CALL_ID, b"")):
            said.pop(_CALL_ID, None)
        if said:
            call_id, agent = one.call_id or _text(said.get(_CALL_ID)), one.agent or _text(said.get(_AGENT))
            decoded[at] = one._replace(call_id=call_id, agent=agent)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
