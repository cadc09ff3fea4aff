"""What holds for every record, however hostile."""

import re
from typing import Final

from worker.core.event import Defaults, Event, Invalid, Skipped
from worker.formats import Form, decode, encode, pairs, thorough

PARAMETER: Final = re.compile(
    r"(id|cart_id|currency|visit_id|status|is_logged_in|call_id|agent"
    r"|products\[\d+\](\[(id|name|quantity|price)\]|\[details\].*))",
    re.DOTALL,
)
FIELDS: Final = {
    *("agent", "amount", "call_id", "cart", "cart_id", "currency", "details", "id", "is_logged_in", "name"),
    *("option_name", "options", "order_id", "price", "product", "product_id", "products", "quantity", "source"),
    *("status", "type", "user_id", "value", "visit_id"),
}
EXPECTATIONS: Final = {
    "JSON in UTF-8",
    "a JSON object",
    '"optico" or "cs-cart"',
    '"cart" or "order"',
    "a string or an integer",
    "a string or an integer, not empty",
    "a string or an integer, not empty and not 0",
    "three letters A-Z",
    "a string",
    "a string, not empty",
    "an array",
    "an object",
    "at least one product",
    '0, 1, true, false, "0" or "1"',
    "an integer, or an integer as a string",
    "a string or a number",
    "an integer of 0 or more",
    "a finite number",
    "a string, or an array or object at most 32 deep",
    "a value at most 31 deep",
}


def check(record: bytes, defaults: Defaults) -> tuple[Event | Skipped | Invalid, Form | None]:
    """No exception, no value of the record in a message, no field that the API doesn't know; both ways agree."""
    outcome = decode(record, defaults)
    if not isinstance(outcome, Invalid):
        assert outcome == thorough(record, defaults)
    if isinstance(outcome, Invalid):
        assert set(re.findall(r"[^.\[\]0-9]+", outcome.path)) <= FIELDS
        assert outcome.expected in EXPECTATIONS
    if isinstance(outcome, Event):
        assert outcome.entity.id != ""
        _, parameters = pairs(record, defaults)
        assert [name for name, _ in parameters if not PARAMETER.fullmatch(name)] == []
        assert ("id", outcome.entity.id) in parameters
        form = encode(record, defaults)
        assert form.path == f"/api/customer-{outcome.entity.kind}"
        assert form.body
        return outcome, form
    return outcome, None
