"""Brokers' addresses, looked up beside the client's one thread.

The library's own lookup stops that thread, heartbeats and all, while a name server does not answer: with glibc's
defaults and a pod's search domains for longer than a session, so that the whole group would lose its partitions.
"""

import socket
import threading
import time
from collections.abc import Collection
from typing import Any

import structlog
from kafka.net.inet import create_connection

log = structlog.get_logger(__name__)

Place = tuple[str, int]

#: How long a lookup is waited for (s): the first one of a name, and one of which an older answer is known.
FIRST_WITHIN, AGAIN_WITHIN = 20.0, 2.0
_LOOK = 0.005


class Names:
    """The last answer for each host and port. One of a name server that is out of order is better than none."""

    def __init__(self) -> None:
        self._known: dict[Place, Any] = {}
        self._asked: dict[Place, threading.Thread] = {}
        self._without: set[Place] = set()

    def addresses(self, host: str, port: int) -> Any:
        """As `getaddrinfo` gave them; empty: none are known."""
        return self._known.get((host, port), [])

    def without_address(self, servers: Collection[str]) -> list[str]:
        """Hosts among these bootstrap servers for which no lookup has found an address."""
        places = {f"{host}:{port}": host for host, port in self._without if not self.addresses(host, port)}
        return sorted({places[place] for server in servers if (place := server.rpartition("://")[2]) in places})

    async def look_up(self, net: Any, host: str, port: int, timeout_at: float | None) -> None:
        """Asks anew, and waits for the answer. `timeout_at` is monotonic, in seconds."""
        place = host, port
        if self._is_numeric(place):
            return
        until = time.monotonic() + (AGAIN_WITHIN if place in self._known else FIRST_WITHIN)
        thread = self._ask(place)
        while thread.is_alive() and time.monotonic() < min(until, timeout_at or until):
            await net.sleep(_LOOK)

    def _is_numeric(self, place: Place) -> bool:
        try:
            self._known[place] = socket.getaddrinfo(*place, 0, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return False
        return True

    def _ask(self, place: Place) -> threading.Thread:
        """One question at a time for each: a name server that is slow has enough to do."""
        thread = self._asked.get(place)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=self._answer, args=(place,), name=f"lookup-{place[0]}", daemon=True)
            self._asked[place] = thread
            thread.start()
        return thread

    def _answer(self, place: Place) -> None:
        try:
            self._known[place] = socket.getaddrinfo(*place, 0, socket.SOCK_STREAM)
            self._without.discard(place)
        except (OSError, UnicodeError) as error:
            self._without.add(place)
            log.warning("a broker's name has no address", host=place[0], error=str(error), known=place in self._known)


NAMES = Names()


async def look_up_and_connect(
    net: Any, host: str, port: int, *args: Any, timeout_at: float | None = None, **kwargs: Any
) -> Any:
    """In the place of the library's `create_connection`, which finds the answer in `NAMES` then."""
    await NAMES.look_up(net, host, port, timeout_at)
    return await create_connection(net, host, port, *args, timeout_at=timeout_at, **kwargs)


def known(_: object, host: str, port: int, raise_error: bool = False) -> Any:  # noqa: ARG001 - as it is called
    """In the place of the library's `dns_lookup`, which would ask."""
    return NAMES.addresses(host, port)
