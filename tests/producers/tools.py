"""The programs that run the producers. What they need is installed once, below the user's cache, never in the tree."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.brokers.distribution import MissingError

HERE = Path(__file__).parent
INSTALL_SECONDS = 400


def php() -> str:
    """PHP with librdkafka: through its extension, or through FFI. Raises MissingError."""
    program = shutil.which("php")
    if program is None:
        raise MissingError("missing: php (Debian: apt-get install php-cli)")
    if "rdkafka" not in _said([program, "-m"]):
        shown = _said([program, "-r", "FFI::cdef('', 'librdkafka.so.1'); echo 'found';"])
        if "found" not in shown:
            raise MissingError(f"missing: librdkafka (Debian: apt-get install librdkafka1); php said: {shown.strip()}")
    return program


def node() -> str:
    """Raises MissingError."""
    program = shutil.which("node")
    if program is None:
        raise MissingError("missing: node 18 or newer (Debian: apt-get install nodejs)")
    return program


def node_modules() -> Path:
    """The packages of the lock, downloaded if they are not there yet. Raises MissingError."""
    node()
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("missing: npm (Debian: apt-get install npm)")
    given = [HERE / "node" / name for name in ("package.json", "package-lock.json")]

    def make(folder: Path) -> None:
        for path in given:
            shutil.copy(path, folder)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, "the Node packages")

    return _cached("node", given, make) / "node_modules"


def datamodel_codegen() -> Sequence[str]:
    """The command of the generator of Python types. Raises MissingError."""
    lock = HERE / "types" / "requirements.txt"

    def make(folder: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "pip", "install", "--quiet", "--require-hashes", "--target", str(folder / "packages")]
        _run([*command, "--python", sys.executable, "-r", str(lock)], folder, "datamodel-code-generator")

    packages = _cached("types", [lock], make) / "packages"
    start = "from datamodel_code_generator.__main__ import main; sys.exit(main())"
    return (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(packages)!r}); {start}")


def _cached(name: str, given: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """A folder that is never changed once it is there, because other test runs may be using it."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in given) + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optico-worker" / "producers"
    target = cache / f"{name}-{digest}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                with tempfile.TemporaryDirectory(prefix=".making-", dir=cache) as folder:
                    made = Path(folder) / "made"
                    made.mkdir()
                    make(made)
                    made.rename(target)
    return target


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise MissingError(f"missing: {what}; {command[0]} took more than {INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise MissingError(f"missing: {what}; {command[0]} could not get them:\n{said}")


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr
