"""What a record on the topic means: an event of an entity, nothing to send, or an error.

Outcomes of decoding are values, not exceptions. None of them holds a copy of the record's content: at the default
bounds fifty thousand entities wait, so what waits is the record's own bytes.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["cart", "order"]


class Entity(NamedTuple):
    """A cart or an order with its id, the unit of collapse and of order."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a deployment fills in where an event leaves it out."""

    currency: str | None = None
    order_status: str | None = None


class Event(NamedTuple):
    """A valid event. `occurred_at` is UNIX seconds; None: absent or unreadable, the record's timestamp counts."""

    entity: Entity
    occurred_at: float | None
    products: int


class Skipped(NamedTuple):
    """A valid record with nothing to send. `entity`: whose state it is, as far as it can be read.

    With the reason `empty_products` the entity is always known: its cart was emptied.
    """

    reason: Literal["tombstone", "empty_products", "no_visit", "parent_order"]
    kind: Kind | Literal["unknown"] = "unknown"
    entity: Entity | None = None


class Invalid(NamedTuple):
    """A record that breaks the event contract.

    `path` names the field (`cart.products[0].amount`; empty: the whole value), `expected` says what belongs there.
    Neither ever holds a value of the record: they are logged.
    """

    reason: Literal["malformed_json", "invalid_event"]
    kind: Kind | Literal["unknown"]
    path: str
    expected: str
    id: str | None = None

    @property
    def message(self) -> str:
        return f"{self.path}: expected {self.expected}" if self.path else f"expected {self.expected}"
