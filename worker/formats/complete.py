"""The last step of reading: what the deployment adds to a valid event. The same for both paths."""

from collections.abc import Mapping
from typing import Final

from worker.core.event import NO_REPAIRS, Entity, Event, Kind
from worker.formats.config import ReadConfig
from worker.formats.model import Cart, Content

# A named tuple's own constructor takes twice as long, and this runs for every record.
_tuple: Final = tuple.__new__


def event(
    content: Content, occurred_at: float | None, config: ReadConfig, repairs: Mapping[str, str] = NO_REPAIRS
) -> Event:
    """The event of a valid content, which gets the default currency, the prefix of its ids and the mapped status."""
    if content.currency is None:
        content.currency = config.default_currency
    kind: Kind = "cart" if content.__class__ is Cart else "order"
    if config.id_prefix:
        _add_prefix(content, config.id_prefix)
    if config.order_statuses and not isinstance(content, Cart):
        content.status = config.order_statuses.get(content.status, content.status)
    call_id, entity_id = content.call_id, content.id
    link = None if call_id is None else str(call_id)
    entity = _tuple(Entity, (kind, entity_id if entity_id.__class__ is str else str(entity_id)))
    return _tuple(
        Event, (entity, occurred_at, link, content.agent or None, repairs, content if config.keeps_content else None)
    )


def _add_prefix(content: Content, prefix: str) -> None:
    content.id = f"{prefix}{content.id}"
    if not isinstance(content, Cart):
        content.cart_id = f"{prefix}{content.cart_id}"
