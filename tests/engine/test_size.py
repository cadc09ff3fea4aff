"""The bound on what waits counts headers as large as they are, whatever a producer writes."""

import tracemalloc

import pytest

from tests.engine.test_hot_path import PARTITION, Kept, ready
from tests.formats.events import cart, value

Headers = list[tuple[str, bytes]]

HEADERS: dict[str, Headers] = {
    "of tracing": [(f"x-trace-{number}", b"0123456789abcdef") for number in range(5)],
    "long names": [("n" * 100_000, b"")],
    "long names beyond Latin": [("…" * 100_000, b"")],
    "many empty ones": [("", b"")] * 10_000,
    "many": [(str(number), b"%d" % number) for number in range(10_000)],
}
EVENTS = 40


def taken_in(headers: Headers) -> tuple[int, int]:
    """What is counted, and what the interpreter holds (bytes)."""
    queue, intake, _ = ready()
    tracemalloc.start()
    try:
        intake._take_in(PARTITION, [record(number, headers) for number in range(EVENTS)])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with queue.locked() as deliveries:
        return deliveries.pending_bytes, held


def record(number: int, headers: Headers) -> Kept:
    """With headers of its own, as the client makes them."""
    own = tuple((f"{name}."[:-1], bytes(bytearray(content))) for name, content in headers)
    return Kept(number, value(cart(id=str(number))), f"cart:{number}".encode(), headers=own)


@pytest.mark.parametrize("name", list(HEADERS))
def test_headers_are_counted_as_large_as_they_are(name: str) -> None:
    taken_in(HEADERS[name])  # whatever is made once
    counted, held = (one - other for one, other in zip(taken_in(HEADERS[name]), taken_in([]), strict=True))
    assert 0.95 * held <= counted <= 3 * held  # the interpreter has one empty text and number for all
