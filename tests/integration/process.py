"""The worker as its users run it: a process with environment variables, a log, and three HTTP pages."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.brokers.tools import PATIENCE, wait_until

KEY = "sk_fake_0123456789abcdef"
_OURS = ("KAFKA_", "OPTICO_", "WORKER_")


class WorkerProcess:
    """Context manager: `optico-worker run` until it is left, which kills what is still there.

    `settings` are environment variables; what a test does not say has values for a quick test on loopback.
    `checkout`: the folder of another version of this repository, whose worker is run instead.
    """

    def __init__(self, settings: Mapping[str, str], checkout: Path | None = None) -> None:
        self._checkout = checkout
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        quick = {
            "OPTICO_API_KEY": KEY,
            "OPTICO_MAX_REQUESTS_PER_SECOND": "0",
            "WORKER_COLLAPSE_WINDOW_MS": "100",
            "WORKER_HTTP_HOST": "127.0.0.1",
            "WORKER_HTTP_PORT": "0",
        }
        self._environment = inherited | quick | dict(settings)
        self._log = tempfile.NamedTemporaryFile(prefix="optico-worker-", suffix=".log")  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker", "run"],
            env=self._environment,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            cwd=self._checkout,  # the first place where modules are looked for
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            error.add_note("the worker's log:\n" + self.log_text()[-6000:])
        self._log.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(60)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.exit_code(timeout)

    def exit_code(self, timeout: float = 30.0) -> int:
        """Waits until it has ended by itself. The timeout is in seconds of a quiet machine."""
        assert self._process is not None
        return self._process.wait(PATIENCE * timeout)

    def log_text(self) -> str:
        return Path(self._log.name).read_text()

    def log(self) -> list[dict[str, Any]]:
        """Its log lines; each must be a JSON object."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"].startswith(event)]

    def url(self, path: str) -> str:
        line = wait_until(lambda: self.logged("the worker starts"), "the worker to start", 20)[0]
        return f"http://127.0.0.1:{line['http_port']}{path}"

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(self.url(path), timeout=30) as response:  # noqa: S310
                return response.status, response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        """Samples by name, and by `name{label=value,...}` where they have labels."""
        samples = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                name = sample.name.removeprefix("optico_worker_")
                samples[f"{name}{{{labels}}}" if labels else name] = sample.value
        return samples

    def total(self, name: str) -> float:
        """The sum of a metric over its labels."""
        return sum(value for key, value in self.metrics().items() if key.partition("{")[0] == name)

    def wait_ready(self) -> None:
        wait_until(lambda: self.get("/readyz")[0] == 200, "the worker to be ready", 30)


@contextmanager
def worker(**settings: str) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings) as process:
        yield process
