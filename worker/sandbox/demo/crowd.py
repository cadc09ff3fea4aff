"""A crowd of carts that comes at once, more than the rate limit lets through for seconds, and a caller among them.

The caller's cart is written after the crowd's are due. The worker sends it before those that wait.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import orjson

from worker.sandbox.api import SeenRequest
from worker.sandbox.traffic import Sample

#: Ids from here on are the crowd's; the first one is the caller's.
_FIRST: Final = 90_000_000
CALLER: Final = str(_FIRST)
#: The crowd's window is over by then, and what was saved up of the rate is used up (s).
_CALLS_AFTER: Final = 0.8


def with_crowd(samples: Iterable[Sample], events: int, crowd: int, calm: int) -> Iterator[Sample]:
    """So many events altogether, the last of the crowd being the caller; `calm`: how many come before the crowd."""
    usual = iter(samples)
    yield from islice(usual, calm)
    for number in range(1, crowd):
        yield _cart(0.0, _FIRST + number)
    if crowd:
        yield _cart(_CALLS_AFTER, _FIRST, call_id=799_999, agent="agent.demo1")
    yield from islice(usual, events - calm - crowd)


def crowd_order(requests: Iterable[SeenRequest]) -> list[str]:
    """Ids of the crowd and of the caller, in the order in which the API first heard of them."""
    heard = (request.id for request in requests if request.kind == "cart" and request.id is not None)
    return list(dict.fromkeys(name for name in heard if name.isdecimal() and int(name) >= _FIRST))


def _cart(delay: float, number: int, **link: object) -> Sample:
    product = {"id": 7, "name": "Savon de Marseille", "quantity": 1, "price": 4.95}
    event = {"type": "cart", "id": number, "currency": "EUR", "visit_id": f"{number:024x}", "is_logged_in": 0}
    return Sample(delay, b"cart:%d" % number, orjson.dumps(event | {"products": [product]} | link))
