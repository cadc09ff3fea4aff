"""A child process that is gone when we are, and a port that waits for it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"

# Runs in the child and becomes the command. A hook between fork and exec would do the same, but is not safe once we
# have threads. argv: our process id (0: not tied), the command's environment as JSON, the command.
_TIE = """
import ctypes, json, os, signal, sys
parent, environment, command = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
if parent:
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
os.execve(command[0], command, environment)
"""


class HeldPort:
    """A free port on the loopback address that nobody else is given until `release`.

    On Linux a server that sets SO_REUSEADDR may listen on it meanwhile, may stop and listen again; elsewhere that is
    refused, so there the port is free but not held.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]
        #: Where the server listens: another loopback address while it has moved there.
        self.host = LOOPBACK
        if sys.platform != "linux":
            self._socket.close()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.number}"

    def accepts(self) -> bool:
        """Whether somebody listens. Blocks for one second at most."""
        try:
            socket.create_connection((self.host, self.number), timeout=1).close()
        except OSError:
            return False
        return True

    def release(self) -> None:
        self._socket.close()


class Child:
    """A running command in a process group of its own, out of reach of the terminal's Ctrl-C. It writes to a file.

    On Linux the kernel kills it when the thread that started it ends, so the main thread's children do not outlive
    this process, whatever ends it; children of other threads are not tied. Raises OSError if nothing can be started.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, output: Path, environment: Mapping[str, str]) -> None:
        tied = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        tie = [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid() if tied else 0), json.dumps(dict(environment))]
        self.output = output
        with output.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603 (the caller's own command)
                [*tie, *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self, patience: float) -> bool:
        """Asks it to end and waits for it; after `patience` seconds kills it. Whether it ended by itself."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()

    def tail(self, lines: int = 20) -> str:
        """The last lines of what it wrote."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self.running():
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
