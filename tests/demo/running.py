"""The demo as a process, and what it leaves behind."""

import codecs
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = [sys.executable, "-m", "worker", "demo"]
PATIENCE = 180.0


@dataclass
class Demo:
    process: subprocess.Popen[bytes]
    screen: int
    output: str = ""
    #: A read may end in the midst of a character.
    _decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def wait_for(self, text: str) -> None:
        """Until it has shown this."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.output:
            assert time.monotonic() < deadline, f"waited for {text!r}; it showed {self.output[-2000:]!r}"
            assert self._read(1.0), f"it ended without {text!r}; it showed {self.output[-2000:]!r}"

    def end(self) -> int:
        """Reads on to its end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(1.0):
            assert time.monotonic() < deadline, "it does not end"
        return self.process.wait(PATIENCE)

    def _read(self, timeout: float) -> bool:
        """Whether there may be more."""
        if not select.select([self.screen], [], [], timeout)[0]:
            return True
        try:
            chunk = os.read(self.screen, 65536)
        except OSError:  # how a terminal says that nobody writes to it any more
            return False
        self.output += self._decoder.decode(chunk)
        return bool(chunk)


@contextmanager
def demo(folder: Path, *arguments: str, terminal: bool = False) -> Iterator[Demo]:
    """Runs it with `folder` for its temporary files; its output and errors are one stream, or a terminal."""
    screen, its_end = pty.openpty() if terminal else os.pipe()
    environment = {**os.environ, "TMPDIR": str(folder), "TERM": "xterm"}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=its_end, stderr=its_end, env=environment
    )
    os.close(its_end)
    try:
        yield Demo(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def descendants(pid: int) -> dict[int, str]:
    """The processes below this one with their command lines."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found: dict[int, str] = {}
    level = {pid}
    while level := {child for child, parent in parents.items() if parent in level}:
        found |= {child: _command(child) for child in level}
    return found


def running(pids: Iterator[int] | dict[int, str]) -> list[int]:
    """Those that have not ended."""
    return [pid for pid in pids if _parent(Path(f"/proc/{pid}")) is not None]


def _parent(entry: Path) -> int | None:
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
