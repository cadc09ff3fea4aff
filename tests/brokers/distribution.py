"""Where the broker's program comes from: Java from the machine, the jars through Maven, kept below the user's cache.

Several test runs may do this at once; one of them downloads, the others wait for it.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_JAVA = 17
POM = Path(__file__).with_name("pom.xml")

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


class MissingError(Exception):
    """What a real broker needs is not on this machine. The message says what, and how to get it."""


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
    java, release = _java()
    pom = POM.read_bytes()
    found = re.search(rb"<kafka\.version>(.+?)</kafka\.version>", pom)
    assert found is not None, f"{POM} names no version"
    # The digest: a folder is never changed once it is there, because others may be running from it.
    name = f"kafka-{found[1].decode()}-{hashlib.sha256(pom).hexdigest()[:8]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optico-worker"
    jars = cache / name
    if not jars.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / "kafka.lock"):
            if not jars.exists():
                _download(jars)
    return Distribution(java, jars, classes=cache / f"{name}-{hashlib.sha256(release.encode()).hexdigest()[:8]}.jsa")


def _java() -> tuple[str, str]:
    hint = f"missing: java {OLDEST_JAVA} (Debian: apt-get install openjdk-{OLDEST_JAVA}-jre-headless)"
    java = shutil.which("java")
    if java is None:
        raise MissingError(hint)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    release = answer.stderr + answer.stdout
    version = re.search(r'version "(?:1\.)?(\d+)', release)
    if version is None:
        raise MissingError(f"{hint}; {java} does not say its version: {release.strip() or 'no output'}")
    if int(version[1]) < OLDEST_JAVA:
        raise MissingError(f"{hint}; {java} is java {version[1]}")
    return java, release


def _download(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError("missing: mvn (Debian: apt-get install maven)")
    with tempfile.TemporaryDirectory(prefix=".kafka-", dir=jars.parent) as folder:
        target = Path(folder) / "jars"
        command = [maven, "-B", "-q", "--strict-checksums", "-f", str(POM), "dependency:copy-dependencies"]
        command.append(f"-DoutputDirectory={target}")
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            said = "\n".join((answer.stdout + answer.stderr).splitlines()[:5])
            raise MissingError(f"missing: the broker's jars; mvn could not get them:\n{said}")
        target.rename(jars)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
