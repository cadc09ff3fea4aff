"""The HTTP proxy that the environment names, as most programs read it: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import (  # type: ignore[attr-defined]  # typeshed leaves the second out
    getproxies_environment,
    proxy_bypass_environment,
)


class ProxyNotSupportedError(ValueError):
    """The text names the variables and the address, without user and password."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """`header`: what names us to it, as a header line; empty without a user name."""

    host: str
    port: int
    header: bytes

    @classmethod
    def for_host(cls, scheme: str, host: str) -> Self | None:
        """None: the host is asked directly. Raises ProxyNotSupportedError."""
        named = getproxies_environment()
        address = named.get(scheme) or named.get("all")
        if not address or proxy_bypass_environment(host, named):
            return None
        url = urlsplit(address if "://" in address else f"http://{address}")
        if url.scheme != "http" or not url.hostname:
            place = f"{url.scheme}://{url.hostname or ''}"
            raise ProxyNotSupportedError(
                f"{scheme.upper()}_PROXY or ALL_PROXY names {place}; only http:// proxies are supported"
            )
        return cls(url.hostname, url.port or 80, _authorization(url.username, url.password))


def _authorization(user: str | None, password: str | None) -> bytes:
    if user is None:
        return b""
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return b"proxy-authorization: Basic " + b64encode(pair) + b"\r\n"
