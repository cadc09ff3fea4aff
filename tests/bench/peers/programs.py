"""The peers' programs: what each needs is installed on demand, below the user's cache, and run from there."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.distribution import MissingError

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "optico-worker" / "peers"
JAVA_MAIN = "Peer"


@dataclass(frozen=True)
class Peer:
    """`needs`: its requirements file, or the folder of its Java program. `about`: how it does the work."""

    name: str
    module: str
    needs: str
    about: str

    def command(self) -> list[str]:
        """Installs what it needs, once, which may take a minute. Raises MissingError in plain words."""
        if self.module == JAVA_MAIN:
            return _java(HERE / self.needs)
        return [str(_venv(HERE / self.needs) / "bin" / "python"), "-m", f"tests.bench.peers.{self.module}"]


PEERS = (
    Peer(
        "kafka-python + requests",
        "loop",
        "requirements-kafka-python.txt",
        "one event after the other, automatic commits",
    ),
    Peer(
        "kafka-python + threads",
        "pool",
        "requirements-kafka-python.txt",
        "a poll's records in a pool of threads, then a commit",
    ),
    Peer(
        "aiokafka + aiohttp",
        "aio",
        "requirements-aiokafka.txt",
        "a batch's records at once, then a commit",
    ),
    Peer(
        "FastStream",
        "fast",
        "requirements-faststream.txt",
        "acknowledged after each event, a worker for each partition",
    ),
    Peer(
        "Confluent Parallel Consumer",
        JAVA_MAIN,
        "java",
        "ordered by key, commits in the background (Java)",
    ),
)


def _venv(requirements: Path) -> Path:
    """An environment of its own for that file; another one as soon as the file changes."""
    folder = CACHE / f"{requirements.stem}-{_digest(requirements)}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(partial)], "a virtual environment")
        _run([str(partial / "bin/python"), "-m", "pip", "install", "--quiet", "-r", str(requirements)], "the packages")
        partial.rename(folder)
    return folder


def _java(folder: Path) -> list[str]:
    program, pom = folder / f"{JAVA_MAIN}.java", folder / "pom.xml"
    java, javac, maven = (_tool(name) for name in ("java", "javac", "mvn"))
    built = CACHE / f"java-{_digest(program, pom)}"
    if not built.exists():
        partial = built.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        copy = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
        _run(copy, "the jars")
        _run([javac, "-d", str(partial), "-cp", f"{partial}/*", str(program)], "compiling")
        partial.rename(built)
    return [java, "-cp", f"{built}:{built}/*", JAVA_MAIN]


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"missing: {name} (Debian: apt-get install openjdk-17-jdk-headless maven)")
    return found


def _run(command: Sequence[str], what: str) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        said = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[-5:])
        raise MissingError(f"missing: {what}: {command[0]} ended with {answer.returncode}:\n{said}")


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:8]
