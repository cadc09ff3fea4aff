"""Opens connections to the API: looks its name up, goes through a proxy if one is named, and makes TLS."""

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult

from aiohappyeyeballs import AddrInfoType, start_connection

from worker.adapters.http.connection import Connection
from worker.adapters.http.proxy import Proxy

#: The next address is tried beside one that has not answered for this long (s; RFC 8305).
_NEXT_ADDRESS_AFTER: Final = 0.25
#: A proxy's answer to CONNECT is a few lines (bytes).
_LONGEST_HEAD: Final = 16 * 1024
_PORTS: Final = {"http": 80, "https": 443}


class Dialer:
    """Raises OSError if the CA file can't be read, ValueError if it holds no certificate.

    And ProxyNotSupportedError, which is one, for a proxy that the environment names.
    """

    def __init__(self, url: SplitResult, ca_file: str | Path | None) -> None:
        self._host, self._port = url.hostname or "", url.port or _PORTS[url.scheme]
        self._tls = _context(ca_file) if url.scheme == "https" else None
        if self._tls is None and ca_file is not None:
            _context(ca_file)  # which says what is wrong with it
        self.proxy = Proxy.for_host(url.scheme, self._host)
        self._lookup: asyncio.Future[list[AddrInfoType]] | None = None

    async def dial(self) -> Connection:
        """Raises OSError, of which ssl.SSLError is one; nothing of a request has been written then. Has no deadline."""
        loop = asyncio.get_running_loop()
        to = (self._host, self._port) if self.proxy is None else (self.proxy.host, self.proxy.port)
        connected = await start_connection(
            await self._addresses(*to), happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1
        )
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None and self.proxy is not None:
                await self._tunnel(loop, connected, self.proxy)
        except BaseException:
            connected.close()
            raise
        name = None if self._tls is None else self._host
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(loop), sock=connected, ssl=self._tls, server_hostname=name
            )
        except BaseException:
            # The loop closes it. It may have done so already, and the descriptor be another's by now.
            connected.detach()
            raise
        return connection

    async def _addresses(self, host: str, port: int) -> list[AddrInfoType]:
        with suppress(OSError):
            return _resolve(host, port, socket.AI_NUMERICHOST)
        if self._lookup is None or self._lookup.done():
            self._lookup = _look_up(host, port)
        return await asyncio.shield(self._lookup)

    async def _tunnel(self, loop: asyncio.AbstractEventLoop, connected: socket.socket, proxy: Proxy) -> None:
        host = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{host}:{self._port}".encode()
        await loop.sock_sendall(
            connected, b"CONNECT " + place + b" HTTP/1.1\r\nhost: " + place + b"\r\n" + proxy.header + b"\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            # Byte by byte would be right for a server that speaks first; one that speaks TLS does not.
            part = await loop.sock_recv(connected, _LONGEST_HEAD)
            head += part
            if not part or len(head) > _LONGEST_HEAD:
                raise ConnectionError(f"the proxy {proxy.host}:{proxy.port} gives no answer to CONNECT")
        words = head.split(b"\r\n", 1)[0].split(None, 2)
        if len(words) < 2 or words[1][:1] != b"2":  # noqa: PLR2004
            said = head.split(b"\r\n", 1)[0][:100].decode("latin-1")
            raise ConnectionError(f"the proxy {proxy.host}:{proxy.port} answers to CONNECT: {said}")


def _look_up(host: str, port: int) -> "asyncio.Future[list[AddrInfoType]]":
    """One question at a time, on a thread that nobody waits for: a name server that is away answers after minutes."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[AddrInfoType]] = loop.create_future()

    def settle(addresses: list[AddrInfoType], error: OSError | None) -> None:
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)
            found.exception()  # whoever asked may have gone

    def ask() -> None:
        addresses: list[AddrInfoType] = []
        failure: OSError | None = None
        try:
            addresses = _resolve(host, port)
        except UnicodeError as error:
            failure = OSError(f"{host} is no host's name: {error}")
        except OSError as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=ask, name="api-lookup", daemon=True).start()
    return found


def _resolve(host: str, port: int, flags: int = 0) -> list[AddrInfoType]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))


def _context(ca_file: str | Path | None) -> ssl.SSLContext:
    """The system's certificates, and those of the file."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        content = Path(ca_file).read_bytes().decode("ascii", "ignore")
        try:
            context.load_verify_locations(cadata=content)
        except ssl.SSLError as error:
            raise ValueError(f"{ca_file} (OPTICO_CA_FILE) holds no certificate in PEM form: {error.reason}") from error
    return context
