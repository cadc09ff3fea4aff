"""What a record on the topic means: an event of an entity, nothing to send, or an error.

Outcomes of decoding are values, not exceptions. None of them holds a copy of the record's content: at the default
bounds fifty thousand entities wait, so a pending event keeps the record's own bytes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["cart", "order"]
NO_REPAIRS: Final[Mapping[str, str]] = MappingProxyType({})


class Entity(NamedTuple):
    """A cart or an order with its id, the unit of collapse and of order."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class Event(NamedTuple):
    """A valid event.

    `occurred_at` is UNIX seconds; None: absent or unreadable, the record's timestamp counts. `call_id` and `agent` link
    the entity to a call. `repairs`: the label of each repair and the field that needed it first. `content` is what
    `worker.formats` encodes; it is not kept while the event waits.
    """

    entity: Entity
    occurred_at: float | None = None
    call_id: str | None = None
    agent: str | None = None
    repairs: Mapping[str, str] = NO_REPAIRS
    content: Any = None


class Skipped(NamedTuple):
    """A valid record with nothing to send. `entity`: whose state it is, as far as it can be read.

    With the reason `empty_products` the entity is always known: its cart was emptied.
    """

    reason: Literal["tombstone", "empty_products", "no_visit", "parent_order"]
    kind: Kind | Literal["unknown"] = "unknown"
    entity: Entity | None = None
    repairs: Mapping[str, str] = NO_REPAIRS


class Invalid(NamedTuple):
    """A record that can't be sent.

    `path` names the field as the record has it (`cart.products[0].amount`; empty: the whole value), `problem` says what
    was found or belongs there. Neither ever holds a value of the record: they are logged.
    """

    reason: Literal["malformed_json", "invalid_event", "payload_too_large"]
    kind: Kind | Literal["unknown"]
    path: str
    problem: str
    id: str | None = None

    @property
    def message(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem
