"""What Linux says of a process: processor time, memory, threads, files."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Of one process. `cpu` in seconds, all threads; memory in MB (10^6 bytes), `peak` the largest so far."""

    cpu: float
    resident: float
    peak: float
    threads: int
    files: int


def usage(pid: int) -> Usage:
    """Raises FileNotFoundError or ProcessLookupError when the process is gone."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    if "VmRSS" not in status:  # a zombie
        raise ProcessLookupError(pid)
    return Usage(
        cpu=cpu_seconds(pid),
        resident=_megabytes(status["VmRSS"]),
        peak=_megabytes(status["VmHWM"]),
        threads=int(status["Threads"]),
        files=len(list((folder / "fd").iterdir())),
    )


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, those included that have ended; in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_now(pid: int) -> float:
    """As `cpu_seconds`, to the microsecond, but of the threads that there are now only."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def one_core() -> int:
    """The core that `pin` holds to."""
    return min(os.sched_getaffinity(0))


def pin(pid: int) -> None:
    """Holds all threads that the process has now to one core."""
    _hold(pid, {one_core()})


def unpin(pid: int) -> None:
    """Lets them run on all cores again."""
    _hold(pid, os.sched_getaffinity(0))


def _hold(pid: int, cores: set[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def processor() -> str:
    """The processor's name, as Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _megabytes(kilobytes: str) -> float:
    return int(kilobytes.split(maxsplit=1)[0]) * 1024 / 1e6
