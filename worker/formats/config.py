"""What a deployment lays down about reading events. The source of each rule is docs/events.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Final

#: The longest body (bytes) where no limit is configured: what is encoded at once must have an end.
LONGEST_BODY: Final = 16 * 1024 * 1024
#: The length of the key in the API's documentation, for when no key is configured.
KEY_LENGTH: Final = 33


@dataclass(frozen=True, slots=True)
class Limits:
    """What the API's side takes of a request: form fields and bytes of the body, each with the key. 0: no limit.

    The defaults are those of PHP's `max_input_vars` and nginx's `client_max_body_size`. `key_bytes` is the length of
    the encoded key.
    """

    fields: int = 1000
    body_bytes: int = 1_000_000
    key_bytes: int = KEY_LENGTH
    #: An event of at most so many bytes is surely within `body_bytes`, unless its details are nested.
    small: int = field(init=False)
    #: An event that the fast path reads is surely within both limits if it has at most so many bytes, unless some of
    #: its details are a list or nested.
    small_flat: int = field(init=False)
    #: The same for details that are a list or nested: each of their fields may repeat a name as long as the event.
    small_nested: int = field(init=False)

    def __post_init__(self) -> None:
        # In JSON a form field takes two bytes in an array (`1,`), else five (`"":1,`). In the body it takes 64 bytes of
        # names for each of its bytes at most, or 60 for its value (`1e308,`).
        fields = (self.fields or LONGEST_BODY) - 10
        room = max(0, (self.body_bytes or LONGEST_BODY) - self.key_bytes - 600)
        small = room // 64
        object.__setattr__(self, "small", small)
        object.__setattr__(self, "small_flat", max(0, min(fields * 4, small)))
        object.__setattr__(self, "small_nested", max(0, min(fields * 2, small, isqrt(room // 2))))

    def less(self, fields: int, size: int) -> "Limits":
        """The same with room for so many more fields, and bytes, that are not the event's own."""
        return Limits(
            self.fields and max(1, self.fields - fields),
            self.body_bytes and max(1, self.body_bytes - size),
            self.key_bytes,
        )


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """How events are read. `id_prefix` is the topic's: see `for_topic`.

    Without `keeps_content` an Event has no content: of a whole poll it would take many times what the records do.
    `strict` holds events to what producers should send: no visit, an emptied cart that lacks something and a parent
    order are not skipped then (`render --strict`).
    """

    default_currency: str | None = None
    default_order_status: str | None = None
    order_statuses: Mapping[str, str] = field(default_factory=dict)
    emptied_cart_name: str | None = None
    cs_cart_id_fields: tuple[str, ...] = ("user_id",)
    id_prefixes: Mapping[str, str] = field(default_factory=dict)
    id_prefix: str = ""
    limits: Limits = Limits()
    strict: bool = False
    keeps_content: bool = True

    def for_topic(self, topic: str) -> "ReadConfig":
        """The same with the prefix that ids of this topic get."""
        prefix = self.id_prefixes.get(topic, "")
        return self if prefix == self.id_prefix else replace(self, id_prefix=prefix)
