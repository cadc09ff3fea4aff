"""What one customer does, from the first article to the delivery, and what goes wrong in between."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final, NamedTuple

import orjson

from worker.sandbox.traffic.customer import Customer, Json

_STATUSES: Final = ("En attente", "Payée", "Expédiée", "Livrée")
_BROKEN, _ORDERED, _EMPTIED, _FORGOTTEN = 0.012, 0.4, 0.15, 0.02


class Deed(NamedTuple):
    """A record, `pause` seconds after the customer's previous one."""

    pause: float
    key: str
    value: bytes | None


def life(customer: Customer) -> Iterator[Deed]:
    """The customer's records. A broken one may follow any other, the last one included."""
    rng = customer.rng
    for deed in _deeds(customer):
        yield deed
        if deed.value is not None and rng.random() < _BROKEN:
            yield deed._replace(pause=rng.uniform(0.01, 0.2), value=_broken(rng, deed.value))


def _deeds(customer: Customer) -> Iterator[Deed]:
    yield from _shopping(customer)
    fate = customer.rng.random()
    if fate < _ORDERED:
        yield from _ordering(customer)
    elif fate < _ORDERED + _EMPTIED:
        yield _emptied(customer)
    elif fate < _ORDERED + _EMPTIED + _FORGOTTEN:
        yield Deed(customer.rng.uniform(0.5, 2), f"cart:{customer.cart_id}", None)


def _shopping(customer: Customer) -> Iterator[Deed]:
    """One to three bursts of changes, fractions of a second apart."""
    rng = customer.rng
    for burst in range(rng.choice((1, 1, 2, 3))):
        for change in range(rng.randint(3, 12)):
            customer.change()
            pause = rng.uniform(0.05, 0.35) if change or not burst else rng.uniform(1, 4)
            yield Deed(pause, f"cart:{customer.cart_id}", orjson.dumps(customer.cart()))


def _ordering(customer: Customer) -> Iterator[Deed]:
    """The order, and what becomes of it; a native cart is emptied by that, a CS-Cart one is the order now."""
    rng = customer.rng
    ordered = [customer.order(status) for status in _STATUSES[: rng.randint(1, len(_STATUSES))]]
    yield Deed(rng.uniform(0.3, 1.5), f"order:{customer.order_id}", orjson.dumps(ordered[0]))
    if not customer.cs_cart:
        yield _emptied(customer)
    for order in ordered[1:]:
        yield Deed(rng.uniform(0.2, 3), f"order:{customer.order_id}", orjson.dumps(order))


def _emptied(customer: Customer) -> Deed:
    customer.items.clear()
    return Deed(customer.rng.uniform(0.05, 0.3), f"cart:{customer.cart_id}", orjson.dumps(customer.cart()))


def _broken(rng: Random, value: bytes) -> bytes:
    """The event with a mistake that producers make."""
    if rng.random() < 0.3:  # noqa: PLR2004
        return value[: len(value) // 2]
    event = orjson.loads(value)
    rng.choice(_MISTAKES)(event)
    return orjson.dumps(event)


def _no_visit(event: Json) -> None:
    del event["visit_id"]


def _currency_sign(event: Json) -> None:
    event["currency"] = "€"


def _unknown_source(event: Json) -> None:
    event["source"] = "shop-demo"


def _decimal_comma(event: Json) -> None:
    product = {"id": 1, "name": "Article", "quantity": 1, "price": "10,50"}
    product |= {"product_id": "1", "product": "Article", "amount": "1"}
    event.get("cart", event)["products"] = [product]


_MISTAKES: Final[tuple[Callable[[Json], None], ...]] = (_no_visit, _currency_sign, _unknown_source, _decimal_comma)
