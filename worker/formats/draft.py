"""An event between its source and the model: each value as the shop wrote it, under the API's name for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from worker.core.event import Kind
from worker.formats.config import ReadConfig
from worker.formats.values import ABSENT


class UnreadableError(Exception):
    """The event can't be sent: `path` names the field as the record has it, `problem` what belongs there."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem


@dataclass(slots=True)
class Reading:
    """One record being read: what is known of it so far, and what of it had to be repaired.

    `recorded_at` is the record's timestamp (ms; -1: none). `at` is the path of the event inside of its envelopes,
    with a final point. `plain`: see `worker.formats.parse.Parsed`. `repairs`: the label of each repair and the first
    field that needed it.
    """

    value: bytes
    config: ReadConfig
    recorded_at: int
    at: str = ""
    plain: bool = False
    kind: Kind | Literal["unknown"] = "unknown"
    id: str | None = None
    repairs: dict[str, str] = field(default_factory=dict)

    def repaired(self, label: str, path: str) -> None:
        """Notes a repair."""
        self.repairs.setdefault(label, self.at + path)

    def refuse(self, path: str, problem: str) -> NoReturn:
        """Raises UnreadableError."""
        raise UnreadableError(self.at + path, problem)


@dataclass(slots=True)
class Line:
    """A product's values. `other_name` stands in for a name, `subtotal` for a price that the line lacks."""

    id: Any = ABSENT
    name: Any = ABSENT
    quantity: Any = ABSENT
    price: Any = ABSENT
    details: Any = ABSENT
    other_name: Any = ABSENT
    subtotal: Any = ABSENT


@dataclass(frozen=True, slots=True)
class Source:
    """How a source names what the model has: paths for messages, and the line of an object in `products`.

    `line` takes the object, and what gives its path. `keyed`: whether `products` may be an object, whose keys mean
    nothing.
    """

    line: Callable[[Mapping[str, Any], Callable[[], str], Reading], Line]
    products: str = "products"
    product_id: str = "id"
    product_name: str = "name"
    quantity: str = "quantity"
    price: str = "price"
    details: str = "details"
    keyed: bool = False


@dataclass(slots=True)
class Draft:
    """An event whose kind and id are known. `is_parent`: the order's children arrive as orders of their own."""

    source: Source
    kind: Kind
    id: str
    cart_id: str
    currency: Any
    visit_id: Any
    products: Any
    status: Any
    is_logged_in: Any
    call_id: Any
    agent: Any
    occurred_at: Any
    is_parent: bool = False
