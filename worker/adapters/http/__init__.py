"""The Cart API over HTTP/1.1, with connections of our own on the event loop (docs/adr/0014).

`cart_api` turns exchanges into outcomes. `client` keeps connections and the deadline. `dialer` opens them: names,
proxy, TLS. `connection` writes a request, and `answer` reads what comes back.
"""

from worker.adapters.http.answer import Answer
from worker.adapters.http.cart_api import HEADERS, CartApi
from worker.adapters.http.client import ExchangeFailed, HttpClient
from worker.adapters.http.proxy import ProxyNotSupportedError

__all__ = ["HEADERS", "Answer", "CartApi", "ExchangeFailed", "HttpClient", "ProxyNotSupportedError"]
