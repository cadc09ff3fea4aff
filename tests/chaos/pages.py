"""What a worker's pages say of it, while they may be out of reach."""

from collections.abc import Callable
from typing import Any
from urllib.error import URLError

from tests.chaos.process import ChaosWorker


def calm(condition: Callable[[], Any]) -> Any:
    """Its answer; None while a page that it asks for can't be had."""
    try:
        return condition()
    except (URLError, OSError, KeyError, AssertionError):
        return None


def busy(worker: ChaosWorker) -> str | None:
    """What is still to be done, or wrong, by its own word; None: nothing."""
    try:
        metrics, ready = worker.metrics(), worker.get("/readyz")
    except (URLError, OSError, AssertionError) as error:
        return f"{worker.name} has no pages: {error}"
    if ready[0] != 200:
        return f"{worker.name} is not ready: {ready[1]}"
    for name in ("pending_entities", "pending_bytes", "requests_in_flight", "consumer_lag", "unread_records"):
        value = sum(v for key, v in metrics.items() if key.partition("{")[0] == name)
        if value:
            return f"{worker.name} says {name} = {value:g}"
    return None
