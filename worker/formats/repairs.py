"""The table of repairs: what the worker accepts although producers should not send it.

Each repair is made and recorded where a value is read (`Reading.repaired`). The labels are those of the metric
`events_repaired_total`. `docs/generate.py` writes the rows into docs/events.md.
"""

from typing import Final, NamedTuple


class Repair(NamedTuple):
    """`found`: what a record holds. `result`: what is sent. `where`: the module that makes the repair."""

    label: str
    found: str
    result: str
    where: str


REPAIRS: Final = (
    Repair("encoding", "a byte order mark", "dropped", "envelope"),
    Repair(
        "encoding",
        "half a surrogate pair (`\\ud83c`), bytes that are not UTF-8",
        "the character U+FFFD. In an id (`id`, `cart_id`, `visit_id`, the fields of a CS-Cart id) the event is "
        "invalid, because two carts could become one",
        "parse",
    ),
    Repair(
        "envelope",
        "the five-byte header of a schema registry, a structured CloudEvent, Kafka Connect's `schema` and `payload`, "
        "JSON inside a JSON string; at most two of them",
        "the content. An event that is valid as it stands is never unwrapped. A null content is a tombstone",
        "envelope",
    ),
    Repair("currency", '`" eur "`', "`EUR`. Anything but three letters after that is invalid", "full_path"),
    Repair(
        "number",
        '`" 12.50"`, `".5"`, `"12."`, `"+1"`; `900.0` as an id or `call_id`; a price or quantity that is not written '
        "as an integer and has more than 14 significant digits",
        "as PHP reads and writes it: `12.5`, `0.5`, `12`, `1`, `900`, `14.31`. Integers keep all their digits. "
        "A fraction is not an id. Numbers in `details` stay as they are",
        "number",
    ),
    Repair("text", "a number in `status`, `name`, `agent` or `visit_id`", "its digits", "values"),
    Repair("boolean", "`is_logged_in` as y/n, yes/no, true/false, on/off in any case", "1 or 0", "values"),
    Repair("boolean", '`is_logged_in` null, `""` or absent', "0", "values"),
    Repair("boolean", "`is_logged_in` as anything else", "1 if PHP would take it for true, else 0", "values"),
    Repair("products", 'null, `false`, `""`, and in native events `{}`', "empty", "lines"),
    Repair("products", "an object in a native event (a CS-Cart event may have one)", "its values", "lines"),
    Repair(
        "line",
        "a line that is not an object",
        "cart: it is left out, and the following lines move up; if no line remains, the event is invalid. "
        "Order: the event is invalid",
        "lines",
    ),
    Repair("product_id", 'null, `""`, false, absent, or no string and no number', "`n/a`", "lines"),
    Repair(
        "product_name",
        'null, `""`, false, absent, or no string and no number',
        "CS-Cart's `extra.product`, else the product's id",
        "lines",
    ),
    Repair("price", 'null, `""`, false (a gift, part of a bundle)', "0", "lines"),
    Repair(
        "price",
        "absent",
        "cart: 0. Order: CS-Cart's `subtotal` ÷ `amount` if the amount is not 0, else the event is invalid",
        "lines",
    ),
    Repair(
        "price",
        "anything else that is not a finite number (`12,50`, `€12`, `true`, `[]`)",
        "cart: 0, and a text is kept in `details[price]`. Order: the event is invalid",
        "lines",
    ),
    Repair(
        "quantity",
        "a fraction such as 0.5 (what is whole after rounding to 14 digits is none)",
        "1, with quantity × unit price as its price; `amount` and `unit_price` come first in `details`",
        "lines",
    ),
    Repair(
        "quantity",
        'null, `""`, false, absent, or anything else that is not a finite number',
        "cart: 1. Order: the event is invalid",
        "lines",
    ),
    Repair(
        "optional_field",
        "a `call_id`, `agent` or `details` that can't be read; a `call_id` of 0; an `occurred_at` more than 60 s "
        "after the record's timestamp",
        "left out",
        "full_path",
    ),
    Repair(
        "cart_id",
        "a CS-Cart order without a usable cart id (a guest's)",
        "`order-` and the order's id",
        "cs_cart",
    ),
    Repair(
        "options",
        "CS-Cart options without a name, or as a map of ids to plain values",
        "the value under its `option_id`",
        "options",
    ),
    Repair("options", "`false`; two options with the same name", "none; both values, as a list", "options"),
    Repair(
        "too_large",
        "more form fields than `OPTICO_MAX_FIELDS`, or more bytes than `OPTICO_MAX_BODY_BYTES`",
        "cut as described in [Large carts](#large-carts)",
        "cutting",
    ),
)
#: The labels, once each, in the table's order.
LABELS: Final = tuple(dict.fromkeys(repair.label for repair in REPAIRS))
