"""The full path of reading, in five steps: unwrap, parse, map the source to native, repair, validate one strict model.

Each step has a module: `envelope` and `parse`; `native` and `cs_cart`, which make a `Draft` and keep the source's own
name of each field for messages; `lines` and `values` for repairs. Each repair is recorded under a label of
`worker.formats.repairs`. The result is built from values that meet the model.
"""

from collections.abc import Callable
from typing import Any

from worker.core.event import Entity, Event, Invalid, Skipped
from worker.formats import complete, cs_cart, cutting, envelope, lines, native, parse, timestamp, values
from worker.formats.config import ReadConfig
from worker.formats.draft import Draft, Reading, UnreadableError
from worker.formats.model import Cart, Content, Order, Product
from worker.formats.parse import MalformedError, Parsed
from worker.formats.values import Damaged

Outcome = Event | Skipped | Invalid


def read(value: bytes, config: ReadConfig, recorded_at: int) -> Outcome:
    """What the value means, however it is written. Never raises."""
    reading = Reading(value, config, recorded_at)
    try:
        opened = envelope.open_bytes(value)
        if opened.had_mark:
            reading.repaired("encoding", "")
        if opened.had_header:
            reading.repaired("envelope", "")
        return _of_value(opened.parsed, reading, layers=int(opened.had_header))
    except MalformedError as error:
        return Invalid("malformed_json", "unknown", reading.at.removesuffix("."), str(error))
    except RecursionError:
        return Invalid("malformed_json", "unknown", "", "the value nests too deep to be read")


def _of_value(parsed: Parsed, reading: Reading, layers: int) -> Outcome:
    """What a JSON value means. `layers`: the envelopes that were taken off."""
    tree, reading.plain = parsed
    if isinstance(tree, str) and layers < envelope.MOST:
        reading.repaired("envelope", reading.at.removesuffix("."))
        return _of_value(envelope.opened_text(tree), reading, layers + 1)
    if tree is None and layers:
        return Skipped("tombstone", repairs=reading.repairs)
    if not isinstance(tree, dict):
        problem = f"expected a JSON object, found {envelope.kind_of(tree)}"
        return Invalid("invalid_event", "unknown", reading.at.removesuffix("."), problem)
    return _unwrapped(tree, reading, layers)


def _unwrapped(tree: dict[str, Any], reading: Reading, layers: int) -> Outcome:
    """What an object means, or what it holds. An event that is valid as it stands is never unwrapped."""
    wrapped = envelope.wrapped(tree, plain=reading.plain)
    if wrapped is None:
        return _of_object(tree, reading)
    as_it_stands = Reading(
        reading.value, reading.config, reading.recorded_at, reading.at, repairs=reading.repairs.copy()
    )
    outcome = _of_object(tree, as_it_stands)
    if isinstance(outcome, Event) or (isinstance(outcome, Skipped) and _has_lines(tree)):
        return outcome
    if layers == envelope.MOST:
        return Invalid("invalid_event", "unknown", "", f"expected at most {envelope.MOST} envelopes around an event")
    reading.repaired("envelope", reading.at + wrapped.field)
    reading.at += f"{wrapped.field}."
    return _of_value(wrapped.content, reading, layers + 1)


def _has_lines(tree: dict[str, Any]) -> bool:
    """Whether an object is an event rather than the attributes of an envelope, which may have the fields of one."""
    return "products" in tree or "cart" in tree


def _of_object(tree: dict[str, Any], reading: Reading) -> Outcome:
    if not reading.plain:
        tree = parse.clean(tree)
    if envelope.is_debezium(tree):
        problem = (
            "expected an event, found a Debezium change: send the delivery queue table through Debezium's event router"
        )
        return Invalid("invalid_event", "unknown", reading.at.removesuffix("."), problem)
    try:
        return _of_draft(_draft(tree, reading), reading)
    except UnreadableError as error:
        entity_id = None if reading.id is None else reading.config.id_prefix + reading.id
        return Invalid("invalid_event", reading.kind, error.path, error.problem, entity_id)


def _draft(tree: dict[str, Any], reading: Reading) -> Draft:
    source = tree.get("source")
    if source is None or source == native.SOURCE:
        return native.draft(tree, reading)
    if source == cs_cart.SOURCE:
        return cs_cart.draft(tree, reading)
    kind, found = tree.get("type"), values.identity(tree.get("id"))
    reading.kind = kind if kind in ("cart", "order") else "unknown"
    reading.id = None if found is None else found[0]
    return reading.refuse("source", 'expected "optico" or "cs-cart"')


def _of_draft(draft: Draft, reading: Reading) -> Outcome:
    config = reading.config
    entity = Entity(draft.kind, config.id_prefix + draft.id)
    if draft.is_parent and not config.strict:
        return Skipped("parent_order", draft.kind, entity, reading.repairs)
    has_no_visit = values.is_no_visit(draft.visit_id) and not config.strict
    if draft.kind == "cart" and lines.is_emptied(draft):
        lines.entries(draft, reading)
        return _emptied(draft, entity, has_no_visit, reading)
    if has_no_visit:
        return Skipped("no_visit", draft.kind, entity, reading.repairs)
    return _completed(draft, lambda: lines.products(draft, reading), reading)


def _emptied(draft: Draft, entity: Entity, has_no_visit: bool, reading: Reading) -> Outcome:
    """The API can't express a cart without products: it is sent with one line that says so, or not at all."""
    name = reading.config.emptied_cart_name
    skipped = Skipped("empty_products", draft.kind, entity, reading.repairs.copy())
    if not reading.config.strict and (name is None or has_no_visit):
        return skipped
    try:
        return _completed(draft, lambda: [Product(lines.NO_ID, name or lines.NO_ID, "0", "0")], reading)
    except UnreadableError:
        if reading.config.strict:
            raise
        return skipped


def _completed(draft: Draft, products: Callable[[], list[Product]], reading: Reading) -> Outcome:
    """The event of a draft, cut to what a request may hold. Raises UnreadableError."""
    content = _content(draft, products, reading)
    if not reading.plain and _is_damaged(content):
        reading.repaired("encoding", "")
    occurred_at = timestamp.seconds(draft.occurred_at)
    if timestamp.is_ahead(occurred_at, reading.recorded_at):
        reading.repaired("optional_field", "occurred_at")
        occurred_at = None
    event = complete.event(content, occurred_at, reading.config, reading.repairs)
    limits = reading.config.limits
    if cutting.is_small(content, len(reading.value), limits):
        return event
    try:
        if cutting.cut(content, limits):
            reading.repaired("too_large", draft.source.products)
    except cutting.TooLargeError as error:
        return Invalid("payload_too_large", draft.kind, "", str(error), event.entity.id)
    return event


def _content(draft: Draft, products: Callable[[], list[Product]], reading: Reading) -> Content:
    currency = _currency(draft.currency, reading)
    visit_id = _visit_id(draft.visit_id, reading)
    lines_of_it = products()
    call_id, label = values.call_id(draft.call_id)
    if label is not None:
        reading.repaired(label, "call_id")
    agent = _agent(draft.agent, reading)
    if draft.kind == "order":
        return Order(
            id=draft.id,
            cart_id=draft.cart_id,
            visit_id=visit_id,
            products=lines_of_it,
            status=_status(draft.status, reading),
            currency=currency,
            call_id=call_id,
            agent=agent,
        )
    is_logged_in, repaired = values.truth(draft.is_logged_in)
    if repaired:
        reading.repaired("boolean", "is_logged_in")
    return Cart(
        id=draft.id,
        visit_id=visit_id,
        products=lines_of_it,
        is_logged_in=bool(is_logged_in),
        currency=currency,
        call_id=call_id,
        agent=agent,
    )


def _currency(value: Any, reading: Reading) -> str | None:
    if value is None and reading.config.default_currency is not None:
        return None
    # Upper case turns some other characters into letters A-Z.
    currency = value.strip().upper() if isinstance(value, str) and value.isascii() else ""
    if not values.is_currency(currency):
        reading.refuse("currency", "expected three letters A-Z")
    if currency != value:
        reading.repaired("currency", "currency")
    return currency


def _visit_id(value: Any, reading: Reading) -> str:
    found = values.text(value)
    if found is None or isinstance(value, Damaged) or values.is_no_visit(value):
        reading.refuse("visit_id", "expected a string that names a visit")
    if found[1]:
        reading.repaired("text", "visit_id")
    return found[0]


def _status(value: Any, reading: Reading) -> str:
    found = values.text(value)
    if found is None:
        reading.refuse("status", "expected a string, not empty")
    if found[1]:
        reading.repaired("text", "status")
    return found[0]


def _agent(value: Any, reading: Reading) -> str | None:
    if value is None or value == "":
        return None
    found = values.text(value)
    if found is None:
        reading.repaired("optional_field", "agent")
        return None
    if found[1]:
        reading.repaired("text", "agent")
    return found[0]


def _is_damaged(content: Content) -> bool:
    """Whether anything of the event that is sent was no UTF-8."""
    level: list[Any] = [getattr(content, name, None) for name in ("status", "agent")]
    for product in content.products:
        level += [product.id, product.name, product.details]
    while level:
        if any(isinstance(value, Damaged) for value in level):
            return True
        parts = [value for value in level if isinstance(value, dict | list)]
        level = [child for part in parts for child in ([*part, *part.values()] if isinstance(part, dict) else part)]
    return False
