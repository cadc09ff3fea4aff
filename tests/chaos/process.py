"""The worker under test, with a name, a key of its own, and perhaps a bug that was planted in it."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tests.integration.process import WorkerProcess
from worker.sandbox.child import Child

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Held:
    """A partition was this process's from `since` to `until` (UNIX seconds; None: to the end)."""

    partition: str
    since: float
    until: float | None


class ChaosWorker(WorkerProcess):
    """As WorkerProcess; its requests are told from others' by its key. Gone when this process is."""

    def __init__(self, name: str, settings: Mapping[str, str], bug: str | None = None) -> None:
        self.name = name
        self.key = f"sk_fake_{name}"
        super().__init__({"OPTICO_API_KEY": self.key} | dict(settings))
        self._bug = bug
        self.killed = False
        self.disturbed = False

    def __enter__(self) -> Self:
        run = ["-m", "worker", "run"] if self._bug is None else ["-m", "tests.chaos.planted", self._bug]
        environment = {name: value for name, value in self._environment.items() if value}
        child = Child(
            [sys.executable, *run],
            folder=ROOT,
            output=Path(self._log.name),
            environment=environment | {"PYTHONPATH": str(ROOT)},
        )
        self._process = child._process
        return self

    def kill(self) -> None:
        self.killed = self.killed or self.running
        super().kill()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def log(self) -> list[dict[str, Any]]:
        """Its log lines so far; the last one may be half written."""
        lines = self.log_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def holdings(self) -> list[Held]:
        """Its assignments, as its log tells them."""
        held: list[Held] = []
        since: dict[str, float] = {}
        for line in self.log():
            at = datetime.fromisoformat(line["timestamp"]).timestamp()
            if line["event"] == "partitions are assigned":
                since |= dict.fromkeys(line["new"], at)
            elif line["event"] == "partitions are gone":
                held += [Held(p, since.pop(p), at) for p in line["partitions"] if p in since]
        return held + [Held(partition, at, None) for partition, at in since.items()]

    def __repr__(self) -> str:
        return f"<{self.name} pid {self.pid if self._process else os.getpid()}>"
