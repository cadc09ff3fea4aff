"""An event as the API's form body, as PHP's `http_build_query` writes it.

Nested values as `a[b][0]`, true and false as 1 and 0, null and empty arrays left out. `key` comes first, then the other
scalars, then the products: PHP drops what comes after its limits. Source: PHP's manual, and PHP itself in the tests.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote_plus

from worker.formats import number
from worker.formats.model import Cart, Content, Product

_CACHEABLE: Final = 64
# Most values are numbers and ids, which quoting would leave as they are, at five times the cost of seeing that.
_is_safe: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
# Names such as `size` return with many carts. Bounded in number and length: details may have any keys.
_quoted_short = lru_cache(maxsize=8192)(quote_plus)


class Form(NamedTuple):
    """A request: the path it is posted to, and its body."""

    path: str
    body: bytes

    @property
    def fields(self) -> int:
        """How many form fields the body has."""
        return self.body.count(b"&") + 1

    def pairs(self) -> list[tuple[str, str]]:
        """The decoded names and values."""
        return parse_qsl(self.body.decode("ascii"), keep_blank_values=True)


def encode(content: Content, key: str) -> Form:
    """The request for a valid content."""
    path = "/api/customer-cart" if content.__class__ is Cart else "/api/customer-order"
    lines = [line(at, product) for at, product in enumerate(content.products)]
    return Form(path, f"key={quoted(key)}{head(content)}{''.join(lines)}".encode("ascii"))


def head(content: Content) -> str:
    """The encoded scalars, each with `&` before it."""
    result = f"&id={quoted(str(content.id))}"
    if isinstance(content, Cart):
        result += f"&currency={content.currency}&visit_id={quoted(content.visit_id)}"
        result += "&is_logged_in=1" if content.is_logged_in in _TRUE else "&is_logged_in=0"
    else:
        result += f"&cart_id={quoted(str(content.cart_id))}&currency={content.currency}"
        result += f"&visit_id={quoted(content.visit_id)}&status={quoted(content.status)}"
    if content.call_id is not None or content.agent:
        result += link(content.call_id, content.agent)
    return result


def link(call_id: int | str | None, agent: str | None) -> str:
    """The encoded fields of a link to a call, each with `&` before it."""
    result = "" if call_id is None else f"&call_id={call_id}"
    return f"{result}&agent={quoted(agent)}" if agent else result


def line(at: int, product: Product) -> str:
    """The encoded fields of a product, each with `&` before it. `at`: its place."""
    name = f"&products%5B{at}%5D%5B"
    product_id, quantity, price = product.id, product.quantity, product.price
    result = (
        f"{name}id%5D={quoted(number.text(product_id))}"
        f"{name}name%5D={quoted(product.name)}"
        f"{name}quantity%5D={quantity}{name}price%5D={price if price.__class__ is str else number.text(price)}"
    )
    details = product.details
    if not details:
        return result
    if details.__class__ is str:
        return f"{result}{name}details%5D={quoted(details)}"
    return result + "".join([f"&{inner}={value}" for inner, value in nested(f"{name[1:]}details%5D", details)])


def nested(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The encoded names and values of an array or object of that encoded name."""
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        inner = f"{name}%5B{quoted(str(key))}%5D"
        if child.__class__ is str or isinstance(child, str):
            yield inner, quoted(child)
        elif child is True or child is False:
            yield inner, "1" if child else "0"
        elif isinstance(child, dict | list):
            yield from nested(inner, child)
        elif child is not None:
            yield inner, number.text(child)


def quoted(text: str) -> str:
    """As PHP's `urlencode`, but for `~`, which is left as it is (RFC 3986)."""
    if _is_safe(text):
        return text
    return _quoted_short(text) if len(text) <= _CACHEABLE else quote_plus(text)


_TRUE: Final = (True, "1")
