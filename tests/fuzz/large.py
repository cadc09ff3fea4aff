"""Records of ten megabytes, ten times what a broker takes by default: each shape that is costly for a parser."""

import json
from collections.abc import Callable
from typing import Any, Final

from tests.formats.events import cart, envelope, product, value

SIZE: Final = 10_000_000
#: For what becomes a hundred times as large when it is written as parameters.
SMALLER: Final = 1_000_000


def _filled(event: dict[str, Any], filling: bytes) -> bytes:
    """The event with the filling in place of its "FILL"."""
    return value(event).replace(b'"FILL"', filling)


def _many(item: bytes, size: int = SIZE) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def _keys(width: int) -> bytes:
    return json.dumps({f"{number:0{width}}": 0 for number in range(SIZE // (width + 6))}).encode()


def _in_details(filling: bytes) -> bytes:
    return _filled(cart(products=[product(details="FILL")]), filling)


LARGE: Final[dict[str, Callable[[], bytes]]] = {
    "one long text": lambda: value(cart(agent="x" * SIZE)),
    "one long id": lambda: value(cart(id="é" * (SIZE // 6))),
    "escapes": lambda: _filled(cart(agent="FILL"), b'"' + b"\\u00e9" * (SIZE // 6) + b'"'),
    "one long number": lambda: _filled(cart(products=[product(price="FILL")]), b"9" * SIZE),
    "one long fraction": lambda: _filled(cart(products=[product(price="FILL")]), b"0." + b"7" * SIZE),
    "one long number as text": lambda: value(cart(products=[product(price="9" * SIZE)])),
    "many long integers": lambda: _in_details(_many(b"9" * 30)),
    "many integers": lambda: _in_details(_many(b"1", SMALLER)),
    "many empty arrays": lambda: _in_details(_many(b"[]")),
    "many empty objects": lambda: _in_details(_many(b"{}")),
    "many small objects": lambda: _in_details(_many(b'{"":0}')),
    "many keys": lambda: _in_details(_keys(6)),
    "equal keys": lambda: _in_details(b"{" + b'"a":0,' * (SIZE // 6) + b'"a":0}'),
    "many products": lambda: _filled(cart(products="FILL"), _many(value(product()))),
    "many products, the last one broken": lambda: _filled(cart(products="FILL"), _many(value(product()))[:-1] + b",0]"),
    "many options": lambda: _filled(
        envelope(
            cart={
                "user_id": "1",
                "order_id": "0",
                "products": [{"product_id": "1", "product": "Mug", "amount": "1", "price": "1", "options": "FILL"}],
            }
        ),
        _many(b'{"option_name":"a","value":1}'),
    ),
    "an unknown field": lambda: _filled(cart(unknown="FILL"), _many(b"[{}]")),
    "too deep": lambda: _in_details(b"[" * (SIZE // 2) + b"]" * (SIZE // 2)),
    "wide at the last depth": lambda: _in_details(b"[" * 31 + _many(b"0", SMALLER) + b"]" * 31),
    "white space": lambda: value(cart()) + b" " * SIZE,
    "not closed": lambda: _in_details(b"[" * SIZE),
    "no JSON": lambda: b"\xff" * SIZE,
}
