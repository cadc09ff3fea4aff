"""What is on the topic and what is sent: a record's value as an event, an event as the API's form body.

Both work on the record's own bytes, so that an event that waits costs no more memory than those. The rules are the
event contract's (docs/events.md).
"""

from typing import Any, Final, NamedTuple

from worker.core.event import Defaults, Event, Invalid, Skipped
from worker.formats import cs_cart, form, json_schema, native, parse, quick
from worker.formats.form import LONGEST_FORM, TooLargeError

__all__ = ["LONGEST_FORM", "Form", "TooLargeError", "decode", "encode", "pairs", "schema"]

_PATHS: Final = {"cart": "/api/customer-cart", "order": "/api/customer-order"}


class Form(NamedTuple):
    """A request but for its `key`: `body` is not empty, `&key=...` goes behind it."""

    path: str
    body: bytes


def decode(value: bytes | None, defaults: Defaults) -> Event | Skipped | Invalid:
    """What a record's value means. Never raises, whatever the bytes."""
    if value is None:
        return Skipped("tombstone")
    usual = quick.decode(value, defaults)
    return thorough(value, defaults) if usual is None else usual


def thorough(value: bytes, defaults: Defaults) -> Event | Skipped | Invalid:
    """The long way, which knows every form and says what is wrong. Never raises."""
    try:
        event = parse.fast(value)
    except (ValueError, RecursionError):
        return Invalid("malformed_json", "unknown", "", "JSON in UTF-8")
    outcome = _decode(event, defaults)
    if isinstance(outcome, Invalid) and parse.has_long_integers(value):
        return _decode(parse.exact(value), defaults)  # an id of more than 64 bits came out as a float
    return outcome


def encode(value: bytes, defaults: Defaults) -> Form:
    """The request for a value that `decode`, given the same defaults, answers with `Event`; others may raise.

    Raises TooLargeError.
    """
    path, parameters = pairs(value, defaults)
    return Form(path, form.body(parameters))


def pairs(value: bytes, defaults: Defaults) -> tuple[str, form.Pairs]:
    """As `encode`: the path, and the body's names and values before they are encoded."""
    event = parse.exact(value) if parse.has_long_integers(value) else parse.fast(value)
    if event.get("source") == cs_cart.SOURCE:
        event = cs_cart.as_native(event, defaults)
    kind, parameters = native.parameters(event, defaults)
    return _PATHS[kind], form.flatten(parameters)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the events, as a worker without defaults accepts them."""
    return json_schema.of(cart=native.CART, order=native.ORDER, cs_cart=cs_cart.EVENT)


def _decode(event: Any, defaults: Defaults) -> Event | Skipped | Invalid:
    if not isinstance(event, dict):
        return Invalid("invalid_event", "unknown", "", "a JSON object")
    source = event.get("source")
    if source is None or source == native.SOURCE:
        return native.decode(event, defaults)
    if source == cs_cart.SOURCE:
        return cs_cart.decode(event, defaults)
    kind, entity_id = native.identify(event)
    return Invalid("invalid_event", kind, "source", '"optico" or "cs-cart"', entity_id)
