"""The work: what each of the Python programs here does with an event. No validation, which spares them some time."""

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

BOOTSTRAP = os.environ["PEER_BOOTSTRAP"]
TOPIC = os.environ["PEER_TOPIC"]
GROUP = os.environ["PEER_GROUP"]
URL = os.environ["PEER_URL"] + "/api/customer-cart"
CONCURRENCY = int(os.environ["PEER_CONCURRENCY"])
PARTITIONS = int(os.environ["PEER_PARTITIONS"])
SESSION_MS = int(os.environ["PEER_SESSION_MS"])
HEADERS = {"content-type": "application/x-www-form-urlencoded"}
TIMEOUT = 5.0


def body(value: bytes) -> bytes:
    """The request of an event."""
    event = json.loads(value)
    event.pop("type")
    return urlencode([("key", "sk_fake_peer"), *_pairs(event, "")]).encode()


def _pairs(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """As PHP's http_build_query."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        path = f"{name}[{key}]" if name else str(key)
        if isinstance(each, dict | list):
            yield from _pairs(each, path)
        else:
            yield path, str(each)
