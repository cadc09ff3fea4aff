"""The broker's program: Java (see `tests.programs`), and jars by their coordinates and digests, in the user's cache.

Several test runs may do this at once; one of them downloads, the others wait for it.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.programs import MissingError, cache, java, kept, run, wheel

__all__ = ["JARS", "Distribution", "MissingError", "install", "kafka_version"]

JARS = Path(__file__).with_name("jars.txt")
_FETCH = Path(__file__).with_name("fetch.py")

# A broker of a test lives for seconds: quick to start counts, quick once warm does not.
_JVM_OPTIONS = (
    "-Xms96m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Xlog:disable",
    "-XX:-UsePerfData",  # leaves a folder behind
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)


@dataclass(frozen=True)
class Distribution:
    """An installed broker: how to run one of its main classes."""

    java: str
    jars: Path
    classes: Path  # an archive of loaded classes, once there is one: halves the time to start

    def command(self, main_class: str, *arguments: str, log_config: Path, record: Path | None = None) -> list[str]:
        """The command line. `record`: where to write the archive of loaded classes when the program ends."""
        options = list(_JVM_OPTIONS)
        if record is not None:
            options.append(f"-XX:ArchiveClassesAtExit={record}")
        elif self.classes.exists():
            options.append(f"-XX:SharedArchiveFile={self.classes}")
        options.append(f"-Dlog4j2.configurationFile={log_config}")
        return [self.java, *options, "-cp", f"{self.jars}/*", main_class, *arguments]


def install() -> Distribution:
    """The broker's program, downloaded if this machine does not have it yet, which may take a minute.

    Raises MissingError in plain words.
    """
    program, release = java()
    jars = kept(Path(), f"kafka-{kafka_version()}", [JARS], _download)
    digest = hashlib.sha256(release.encode()).hexdigest()[:8]
    return Distribution(program, jars, classes=cache() / f"{jars.name}-{digest}.jsa")


def kafka_version() -> str:
    return next(each.rpartition(":")[2] for each in _locked() if ":kafka-clients:" in each)


def _locked() -> Mapping[str, str]:
    """The jars' digests by their coordinates."""
    return dict(line.split() for line in JARS.read_text().splitlines() if not line.startswith("#"))


def _download(folder: Path) -> None:
    client = wheel("maven", "a client for Maven's packages")
    locked = _locked()
    run([sys.executable, str(_FETCH), str(folder), *locked], "the broker's jars", PYTHONPATH=str(client))
    for coordinates, digest in locked.items():
        _, artifact, version = coordinates.split(":")
        if hashlib.sha256((folder / f"{artifact}-{version}.jar").read_bytes()).hexdigest() != digest:
            raise MissingError(f"missing: {coordinates}; what was downloaded is not what {JARS.name} says")
