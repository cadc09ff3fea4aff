"""The target, as the benchmark speaks to it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from tests.bench.machine import cpu_seconds


@dataclass(frozen=True)
class Seen:
    """A request. Times in UNIX seconds; `answered` 0: not yet, or nobody was there to hear it."""

    id: str
    version: int
    arrived: float
    answered: float
    status: int


@dataclass(frozen=True)
class Segment:
    """Some seconds of work: requests a second, µs of the client's processor time a request, and what share (%) of one
    core the target needed meanwhile."""

    rate: float
    cost: float
    busy: float


@dataclass(frozen=True)
class Api:
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, *, reset: bool = False, **settings: float) -> None:
        """`latency` and `jitter` in seconds, `status`; `reset` forgets what was."""
        self._ask("/_set", json.dumps({"reset": reset, **settings}).encode())

    def count(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("/_count")
        return found

    def requests(self) -> int:
        return int(self.count()["requests"])

    def log(self) -> list[Seen]:
        return [Seen(*row) for row in self._ask("/_log")]

    def segment(self, pid: int, concurrency: int, latency: float, seconds: float) -> Segment:
        """Lets the client go on for some seconds at that latency, which it has had for a moment before."""
        self.set(latency=latency)
        time.sleep(0.2 + 1.1 * latency)
        self.set(reset=True)
        cpu, own = cpu_seconds(pid), cpu_seconds(self.pid)
        time.sleep(seconds)
        cpu, own = cpu_seconds(pid) - cpu, cpu_seconds(self.pid) - own
        arrivals = [each.arrived for each in self.log()]
        return Segment(rate_of(arrivals, concurrency), cpu / max(1, len(arrivals)) * 1e6, own / seconds * 100)

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        with urlopen(self.url + path, data=body, timeout=60) as response:  # noqa: S310
            return json.load(response)


def rate_of(arrivals: Sequence[float], concurrency: int) -> float:
    """Requests a second of a client with so many in flight: from each request to the one that took its place.

    Whoever waits 500 ms sends in bursts; counting what falls into some seconds would be a matter of luck.
    """
    arrivals = sorted(arrivals)
    turns = [later - earlier for earlier, later in zip(arrivals, arrivals[concurrency:], strict=False)]
    return concurrency * len(turns) / sum(turns) if turns else 0.0
