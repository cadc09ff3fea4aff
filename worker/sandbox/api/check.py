"""The documented answers: what the API says to a request.

Source: the Cart API's "Common error messages" and parameter tables. Written apart from what the worker itself knows
of them, so that one mistake can't hide in both.
"""

import re
from enum import Enum
from typing import Final, Literal, TypeAlias

import orjson

from worker.sandbox.api.form import PhpArray, Value

Kind: TypeAlias = Literal["cart", "order"]

PATHS: Final[dict[str, Kind]] = {"/api/customer-cart": "cart", "/api/customer-order": "order"}

_COMMON = ("id", "currency", "visit_id", "products")
REQUIRED: Final[dict[Kind, tuple[str, ...]]] = {
    "cart": (*_COMMON, "is_logged_in"),
    "order": (*_COMMON, "cart_id", "status"),
}
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


class Verdict(Enum):
    """What the API makes of a request; the value is the message that it answers, if any."""

    SUCCESS = None
    INVALID_API_KEY = "Invalid API key"
    MISSING_REQUIRED_PARAMETER = "Missing required parameter"
    INVALID_PRODUCTS_FORMAT = "Invalid products format"
    UNKNOWN_VISIT_ID = "Unknown visit_id"

    @property
    def outcome(self) -> str:
        return self.name.lower()


def envelope(status: str, message: str | None = None) -> bytes:
    """The JSON body of an answer."""
    return orjson.dumps({"status": status} if message is None else {"status": status, "message": message})


BODIES: Final = {
    verdict: envelope("success") if verdict is Verdict.SUCCESS else envelope("error", verdict.value)
    for verdict in Verdict
}


def check(kind: Kind, fields: PhpArray, keys: frozenset[str] | None, unknown_visits: frozenset[str]) -> Verdict:
    """The first check that a request fails: key, parameters, products, visit. `keys` None: any but the empty one."""
    key = fields.get("key")
    if not isinstance(key, str) or not key or (keys is not None and key not in keys):
        return Verdict.INVALID_API_KEY
    if not all(_present(name, fields.get(name)) for name in REQUIRED[kind]):
        return Verdict.MISSING_REQUIRED_PARAMETER
    if not _products(fields["products"]):
        return Verdict.INVALID_PRODUCTS_FORMAT
    if fields["visit_id"] in unknown_visits:
        return Verdict.UNKNOWN_VISIT_ID
    return Verdict.SUCCESS


def _present(name: str, value: Value | None) -> bool:
    """Given and not empty. "0" is a value here, unlike in PHP's `empty`: `is_logged_in` is documented as 0 or 1."""
    return bool(value) and (name == "products" or isinstance(value, str))


def _products(products: Value) -> bool:
    return isinstance(products, PhpArray) and all(
        isinstance(index, int) and _product(product) for index, product in products.items()
    )


def _product(product: Value) -> bool:
    if not isinstance(product, PhpArray):
        return False
    name, number = product.get("name"), product.get("id")
    quantity, price = product.get("quantity"), product.get("price")
    return (
        isinstance(number, str)
        and number != ""
        and isinstance(name, str)
        and name != ""
        and isinstance(quantity, str)
        and _INTEGER.fullmatch(quantity) is not None
        and isinstance(price, str)
        and _NUMBER.fullmatch(price) is not None
    )
