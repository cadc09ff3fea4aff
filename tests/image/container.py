"""Runs an image's root as a container engine would: as its user, as process 1, on a read-only file system."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.brokers.tools import wait_until

# $1: the root, $2: user:group; then the command. Nothing but /tmp can be written to.
_ENTER = """
set -e
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""


@dataclass(frozen=True)
class Image:
    """A built image: its root on disk, and its configuration."""

    root: Path
    configuration: Mapping[str, Any]

    def command(self, arguments: tuple[str, ...], variables: Mapping[str, str]) -> list[str]:
        """What an engine would run; `arguments` take the place of CMD, if there are any."""
        settings = [*self.configuration["Env"], *(f"{name}={value}" for name, value in variables.items())]
        program = [*self.configuration["Entrypoint"], *(arguments or self.configuration["Cmd"])]
        enter = ["sh", "-c", _ENTER, "enter", str(self.root), self.configuration["User"]]
        new = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        return [*new, *enter, "env", "-i", *settings, *program]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(arguments, variables), capture_output=True, text=True, check=False, timeout=60
        )


class Container:
    """What runs: process 1 of its own namespace."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        self.pid = int(wait_until(children.read_text, "process 1"))

    @property
    def log(self) -> str:
        return self._log.read_text()

    def users(self) -> list[str]:
        """The real, effective, saved and file system's user id."""
        return self._status("Uid")

    def capabilities(self) -> list[str]:
        return self._status("CapEff")

    def files(self, folder: str) -> list[str]:
        """What is in this folder as the container sees it."""
        return [path.name for path in Path(f"/proc/{self.pid}/root{folder}").iterdir()]

    def stop(self, patience: float = 40.0) -> int:
        """SIGTERM; the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self._process.wait(patience)

    def _status(self, name: str) -> list[str]:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line for line in lines if line.startswith(f"{name}:")).split()[1:]


@contextmanager
def container(image: Image, *arguments: str, **variables: str) -> Iterator[Container]:
    """Runs it in the background; what is still there at the end is killed."""
    with tempfile.NamedTemporaryFile(prefix="optico-container-", suffix=".log") as log:
        process = subprocess.Popen(
            image.command(arguments, variables), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield Container(process, Path(log.name))
        except BaseException as error:
            error.add_note("its log:\n" + Path(log.name).read_text()[-6000:])
            raise
        finally:
            process.kill()
            process.wait()
