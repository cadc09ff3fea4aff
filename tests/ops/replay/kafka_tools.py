"""Kafka's own `kafka-consumer-groups`, run from its jars: the brokers', and one more that Maven fetches once."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.brokers.distribution import POM, MissingError, install

_MAIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def consumer_groups(*arguments: str) -> str:
    """What the tool prints. Skips the test where Java or Maven is missing; in CI it fails."""
    try:
        distribution = install()
        tools = tools_jar()
    except MissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"in CI nothing may be skipped: {missing}", pytrace=False)
        pytest.skip(str(missing))
    path = f"{tools}:{distribution.jars}/*"
    ended = subprocess.run(
        [distribution.java, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", path, _MAIN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def tools_jar() -> Path:
    """The jar of Kafka's tools; Maven fetches it once. Raises MissingError."""
    jars = install().jars
    version = next(jars.glob("kafka-tools-api-*.jar")).stem.removeprefix("kafka-tools-api-")
    jar = jars.parent / f"kafka-tools-{version}.jar"
    if jar.exists():
        return jar
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError("missing: mvn (Debian: apt-get install maven)")
    artifact = f"-Dartifact=org.apache.kafka:kafka-tools:{version}"
    with tempfile.TemporaryDirectory(prefix=".kafka-tools-", dir=jars.parent) as folder:
        command = [maven, "-B", "-q", "--strict-checksums", "-f", str(POM), "dependency:copy", artifact]
        ended = subprocess.run(
            [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False, timeout=400
        )
        if ended.returncode != 0:
            raise MissingError(f"missing: Kafka's tools; mvn could not get them:\n{ended.stdout[:500]}")
        (Path(folder) / jar.name).rename(jar)
    return jar
