"""`optico-worker check`: everything that the worker needs, looked at from where it would run.

Nothing is sent to the API but a GET of its address, and the key alone where that is asked for. Nothing is committed,
no group is joined.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from worker.ops.check import api, configuration, kafka, records
from worker.ops.check.finding import Finding, Verdict, red
from worker.ops.check.report import show
from worker.settings import Settings

__all__ = ["Finding", "Verdict", "run"]

#: All checks together (s).
WITHIN = 25.0
_DONE = None


def run(settings: Settings, environ: Mapping[str, str], *, as_json: bool, try_key: bool = False) -> int:
    """Prints the findings; returns 1 if any is red, else 0. Blocks for WITHIN seconds at most."""
    findings = list(configuration.check(settings))
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "kafka": lambda: kafka.check(settings.kafka, settings.optico.max_requests_per_second),
        "records": lambda: records.check(settings),
        "api": lambda: api.check(settings.optico, try_key=try_key),
    }
    findings += _side_by_side(checks)
    show(configuration.variables(settings, environ), findings, as_json=as_json)
    return 1 if any(finding.verdict is Verdict.RED for finding in findings) else 0


def _side_by_side(checks: Mapping[str, Callable[[], Iterator[Finding]]]) -> Iterator[Finding]:
    """Each on a thread of its own; one that hangs is told as red, and does not keep the program."""
    queues = {name: _start(name, check) for name, check in checks.items()}
    deadline = time.monotonic() + WITHIN
    for name, found in queues.items():
        try:
            while (finding := found.get(timeout=max(0.0, deadline - time.monotonic()))) is not _DONE:
                yield finding
        except queue.Empty:
            yield red(
                name, "", f"no answer within {WITHIN:g} s", "it was reached, but does not answer: look at its health"
            )


def _start(name: str, check: Callable[[], Iterator[Finding]]) -> "queue.SimpleQueue[Finding | None]":
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            for finding in check():
                found.put(finding)
        except Exception as error:  # noqa: BLE001 - a doctor that falls over helps nobody
            found.put(red(name, "", f"{type(error).__name__}: {error}", "this is a defect: please report it"))
        finally:
            found.put(_DONE)

    threading.Thread(target=work, name=f"check-{name}", daemon=True).start()
    return found
