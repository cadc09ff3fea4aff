"""The real worker as a process of its own, and what it tells: its log, its health and its metrics."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self

import orjson
from prometheus_client.parser import text_string_to_metric_families

import worker
from worker.adapters.metrics import PREFIX
from worker.sandbox.child import LOOPBACK, Child
from worker.sandbox.demo.errors import DemoError

_OK: Final = 200
_PATIENCE: Final = 2.0
_DRAINED_WITHIN: Final = 15.0


@dataclass(frozen=True)
class Readings:
    """The worker's metrics at one moment, by name and labels' values."""

    samples: Mapping[tuple[str, tuple[str, ...]], float] = field(default_factory=dict)

    def total(self, name: str, *labels: str) -> int:
        """The sum over all series of this name whose labels' values include these."""
        return int(
            sum(value for (its, given), value in self.samples.items() if its == PREFIX + name and {*labels} <= {*given})
        )

    @property
    def paused(self) -> list[str]:
        """Why sending is paused."""
        on = {
            labels[1] for (name, labels), value in self.samples.items() if name == PREFIX + "sending_paused" and value
        }
        return sorted(on)

    @property
    def sendable(self) -> int:
        """Settled events that would have been requests without collapsing."""
        here = sum(self.total("events_rejected_total", reason) for reason in ("malformed_json", "invalid_event"))
        return (
            self.total("events_delivered_total")
            + self.total("events_collapsed_total")
            + (self.total("events_rejected_total") - here)
        )

    @property
    def saved(self) -> float:
        """Requests that collapsing saved, as a part of those that it would have been without."""
        return max(0.0, 1 - self.total("requests_total") / self.sendable) if self.sendable else 0.0


class WorkerProcess:
    """Context manager: `optico-worker run` with these variables and no others. When it is left, the worker is gone."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        source = str(Path(worker.__file__).parent.parent)
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        self._child = Child(
            [sys.executable, "-m", "worker", "run"],
            folder=folder,
            output=folder / "worker.log",
            environment={**inherited, "PYTHONPATH": source, **variables},
        )
        self._port: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()

    def ready(self) -> bool:
        """Whether it is in the group. Raises DemoError if it has ended."""
        self.expect_running()
        status, _ = self._get("/readyz")
        return status == _OK

    def read(self) -> Readings | None:
        """Its metrics, None if it does not answer now. Blocks for two seconds at most."""
        status, text = self._get("/metrics")
        if status != _OK:
            return None
        return Readings(
            {
                (sample.name, tuple(sample.labels.values())): sample.value
                for family in text_string_to_metric_families(text.decode())
                for sample in family.samples
            }
        )

    def expect_running(self) -> None:
        """Raises DemoError, with the end of its log, if it has ended."""
        if not self._child.running():
            raise DemoError(f"the worker ended by itself. The end of its log:\n{self._child.tail(5)}")

    def finish(self) -> bool:
        """Drains it, as SIGTERM does. Whether it ended in time and said that nothing was left to do."""
        in_time = self._child.stop(_DRAINED_WITHIN)
        left = [line["left_uncommitted"] for line in self._log() if "left_uncommitted" in line]
        return in_time and left == [0]

    def last_words(self) -> str:
        """The last line of its log, as a sentence."""
        lines = list(self._log())
        return str(lines[-1].get("event", "")) if lines else ""

    def _get(self, path: str) -> tuple[int, bytes]:
        if self._port is None:
            self._port = next((line["http_port"] for line in self._log() if "http_port" in line), None)
        if self._port is None:
            return 0, b""
        with closing(HTTPConnection(LOOPBACK, self._port, timeout=_PATIENCE)) as connection:
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, HTTPException):
                return 0, b""

    def _log(self) -> Iterator[dict[str, Any]]:
        for line in self._child.output.read_bytes().splitlines():
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:  # a library's word, or a line that is being written
                continue
            if isinstance(entry, dict):
                yield entry
