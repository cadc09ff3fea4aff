"""Sample traffic: what the customers of a French shop do to their carts and orders, as records of the topic.

Half of the carts come in the native format, half from CS-Cart. Carts change in bursts, become orders, are emptied or
left behind; orders change their status; some customers are on the phone with an agent; a few records are broken. All
of it is made up.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final, NamedTuple

from worker.sandbox.traffic.customer import UNKNOWN_VISIT, Customer
from worker.sandbox.traffic.life import Deed, life

__all__ = ["UNKNOWN_VISIT", "Sample", "traffic"]

_RECORDS_PER_CUSTOMER: Final = 14.8  # measured
_WARM_UP: Final = 20.0  # seconds after which as many visits end as begin


class Sample(NamedTuple):
    """One record, to be written `delay` seconds after the one before it."""

    delay: float
    key: bytes
    value: bytes | None


def traffic(seed: int, per_second: float = 250.0) -> Iterator[Sample]:
    """Records without end, about `per_second` of them in the mean; the same arguments give the same records.

    How fast one cart changes does not depend on `per_second`: that says how many customers there are. A cart and the
    order that it becomes keep their visit for life. The records carry no time of their own.
    """
    rng = Random(seed)
    numbers = count(1)
    planned: list[tuple[float, int, Deed, Iterator[Deed]]] = []
    arrival, previous = 0.0, _WARM_UP
    while True:
        while not planned or arrival <= planned[0][0]:
            number = next(numbers)
            _plan(planned, arrival, number, life(Customer(rng, number)))
            arrival += rng.expovariate(per_second / _RECORDS_PER_CUSTOMER)
        at, number, deed, deeds = heappop(planned)
        if at >= _WARM_UP:
            yield Sample(at - previous, deed.key.encode(), deed.value)
            previous = at
        _plan(planned, at, number, deeds)


def _plan(
    planned: list[tuple[float, int, Deed, Iterator[Deed]]], now: float, number: int, deeds: Iterator[Deed]
) -> None:
    deed = next(deeds, None)
    if deed is not None:
        heappush(planned, (now + deed.pause, number, deed, deeds))
