"""Events of a given size, quickly: a million of them are written for one figure."""

import itertools
import random
from collections.abc import Iterator

VISIT = "3617898c651df0f8617f70a0"
SIZE = 300


def cart(id: int, version: int, size: int = SIZE) -> tuple[bytes, bytes]:  # noqa: A002
    """Key and value of one change of a cart with two products, `size` bytes long; the version is a quantity."""
    value = (
        b'{"type":"cart","id":"%d","currency":"EUR","visit_id":"3617898c651df0f8617f70a0","is_logged_in":0,'
        b'"products":[{"id":1,"name":"Product one","quantity":%d,"price":29.99},'
        b'{"id":2,"name":"Product two","quantity":1,"price":5.5,"details":"%s"}]}'
    )
    bare = len(value % (id, version, b""))
    return b"cart:%d" % id, value % (id, version, b"x" * (size - bare))


def cart_of(id: int, version: int, products: int) -> tuple[bytes, bytes]:  # noqa: A002
    """A cart with so many products."""
    each = b",".join(
        b'{"id":%d,"name":"Product %d","quantity":%d,"price":29.99}' % (n, n, version) for n in range(products)
    )
    head = b'{"type":"cart","id":"%d","currency":"EUR","visit_id":"%s","is_logged_in":0,"products":[' % (
        id,
        VISIT.encode(),
    )
    return b"cart:%d" % id, head + each + b"]}"


def round_robin(events: int, ids: int) -> Iterator[tuple[bytes, bytes]]:
    """Versions 1, 2, 3 … over the ids in turn."""
    return (cart(number % ids, number + 1) for number in range(events))


def sessions(events: int, ids: int, at_once: int = 1000) -> Iterator[tuple[bytes, bytes]]:
    """As shops are used: so many customers at once change their carts, are gone, and others come."""
    each = events // ids
    version = 0
    for first in range(0, ids, at_once):
        for _ in range(each):
            for number in range(first, min(first + at_once, ids)):
                version += 1
                yield cart(number, version)


def zipf(ids: int, skew: float, seed: int) -> Iterator[int]:
    """Endless; the n-th most frequent id is seen n^-skew as often as the first."""
    draw = random.Random(seed)
    weights = list(itertools.accumulate((n + 1) ** -skew for n in range(ids)))
    while True:
        yield from draw.choices(range(ids), cum_weights=weights, k=1000)
