"""The last step of reading: what the deployment adds to a valid event. The same for both paths."""

from collections.abc import Mapping

from worker.core.event import Entity, Event
from worker.formats.config import ReadConfig
from worker.formats.model import Cart, Content


def event(content: Content, occurred_at: float | None, repairs: Mapping[str, str], config: ReadConfig) -> Event:
    """The event of a valid content, which gets the default currency, the prefix of its ids and the mapped status."""
    if content.currency is None:
        content.currency = config.default_currency
    prefix = config.id_prefix
    if prefix:
        content.id = f"{prefix}{content.id}"
    call_id, agent = content.call_id, content.agent
    link = None if call_id is None else str(call_id)
    if content.__class__ is Cart:
        return Event(Entity("cart", str(content.id)), occurred_at, link, agent or None, repairs, content)
    if prefix:
        content.cart_id = f"{prefix}{content.cart_id}"
    if config.order_statuses:
        content.status = config.order_statuses.get(content.status, content.status)
    return Event(Entity("order", str(content.id)), occurred_at, link, agent or None, repairs, content)
