"""The peers' programs: what each needs is installed on demand, below the user's cache, and run from there."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.brokers.distribution import MissingError

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "optico-worker" / "peers"
JAVA_MAIN, GO_MAIN = "Peer", "bento"


@dataclass(frozen=True)
class Peer:
    """`pins`: the file with its packages' versions. `packages`: those that matter. `about`: how it does the work."""

    name: str
    module: str
    pins: str
    packages: tuple[str, ...]
    about: str
    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Installs what it needs, once, which may take a minute. Raises MissingError in plain words."""
        pins = HERE / self.pins
        if self.module == JAVA_MAIN:
            return _java(pins)
        if self.module == GO_MAIN:
            return _go(pins)
        return [str(_venv(pins) / "bin" / "python"), "-m", f"tests.bench.peers.{self.module}"]

    def versions(self) -> str:
        pins = (HERE / self.pins).read_text()
        return ", ".join(_version(package, pins) for package in self.packages)


PEERS = (
    Peer(
        "kafka-python + requests",
        "loop",
        "requirements-kafka-python.txt",
        ("kafka-python", "requests"),
        "one event after the other, automatic commits",
    ),
    Peer(
        "kafka-python + threads",
        "pool",
        "requirements-kafka-python.txt",
        ("kafka-python", "requests"),
        "a poll's records in a pool of threads, then a commit",
    ),
    Peer(
        "aiokafka + aiohttp",
        "aio",
        "requirements-aiokafka.txt",
        ("aiokafka", "aiohttp"),
        "a batch's records at once, then a commit",
    ),
    Peer(
        "FastStream",
        "fast",
        "requirements-faststream.txt",
        ("faststream", "aiokafka"),
        "acknowledged after each event, a worker for each partition",
    ),
    Peer(
        "Confluent Parallel Consumer",
        JAVA_MAIN,
        "java/pom.xml",
        ("parallel-consumer-core",),
        "ordered by key, commits in the background (Java)",
    ),
    Peer(
        "Bento",
        GO_MAIN,
        "bento/go.mod",
        ("bento",),
        "a partition's events at once, commits in the background (Go)",
        {"PEER_CHECKPOINT_LIMIT": "1024"},
    ),
    Peer(
        "Bento, in order",
        GO_MAIN,
        "bento/go.mod",
        ("bento",),
        "one event of a partition at a time, as its documentation says for strict order (Go)",
        {"PEER_CHECKPOINT_LIMIT": "1"},
    ),
)


def _version(package: str, pins: str) -> str:
    found = re.search(rf"\b{re.escape(package)}(?:==|</artifactId>\s*<version>| v)([\w.]+)", pins)
    assert found is not None, f"{package} is not pinned"
    return f"{package} {found[1]}"


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


def _java(pom: Path) -> list[str]:
    program = pom.with_name(f"{JAVA_MAIN}.java")
    packages = "Debian: apt-get install openjdk-17-jdk-headless maven"
    java, javac, maven = (_tool(name, packages) for name in ("java", "javac", "mvn"))
    built = CACHE / f"java-{_digest(program, pom)}"
    if not built.exists():
        partial = built.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        copy = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
        _run(copy, "the jars")
        _run([javac, "-d", str(partial), "-cp", f"{partial}/*", str(program)], "compiling")
        partial.rename(built)
    return [java, "-cp", f"{built}:{built}/*", JAVA_MAIN]


def _go(module: Path) -> list[str]:
    folder = module.parent
    go = _tool("go", "Go 1.24 or newer, on the PATH")
    built = CACHE / f"bento-{_digest(module, folder / 'go.sum', folder / 'main.go')}"
    if not built.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = built.with_suffix(".partial")
        _run([go, "build", "-o", str(partial), "."], "building Bento", folder)
        partial.rename(built)
    return [str(built), "-c", str(folder / "bento.yaml")]


def _tool(name: str, way_out: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"missing: {name} ({way_out})")
    return found


def _run(command: Sequence[str], what: str, folder: Path | None = None) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if answer.returncode != 0:
        said = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[-5:])
        raise MissingError(f"missing: {what}: {command[0]} ended with {answer.returncode}:\n{said}")


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:8]
