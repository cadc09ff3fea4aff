"""A real Prometheus on the loopback address, with our rules, that scrapes one worker every half second."""

import json
import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.brokers.tools import wait_until
from tests.monitoring.rules import write_rules
from tests.monitoring.tools import program
from worker.sandbox.child import Child, HeldPort

#: As the operator would label it.
TARGET = {"namespace": "shop", "pod": "optico-worker-0", "container": "worker"}


class Prometheus:
    """Context manager. `worker`: host:port of what is scraped."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        binary = program("prometheus")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optico-prometheus-")))
            port = HeldPort()
            stack.callback(port.release)
            self._url = f"http://{port.address}"
            write_rules(folder)
            (folder / "prometheus.json").write_text(json.dumps(self._configuration()))
            options = ["--config.file=prometheus.json", f"--storage.tsdb.path={folder / 'data'}"]
            command = [binary, *options, f"--web.listen-address={port.address}"]
            child = Child(command, folder=folder, output=folder / "output", environment={})
            stack.callback(child.stop, 10)
            wait_until(lambda: port.accepts() or not child.running(), "Prometheus", 20)
            assert child.running(), child.tail()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """An instant query's samples whose value is a number; ValueError with Prometheus' own words."""
        try:
            with urlopen(f"{self._url}/api/v1/query?{urlencode({'query': expr})}", timeout=30) as response:  # noqa: S310
                found = json.load(response)["data"]["result"]
        except HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None
        return [sample for sample in found if math.isfinite(float(sample["value"][1]))]

    def _configuration(self) -> dict[str, Any]:
        """JSON is YAML."""
        scraped = {"job_name": "optico-worker", "static_configs": [{"targets": [self._worker], "labels": TARGET}]}
        return {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["*.yaml"],
            "scrape_configs": [scraped],
        }
