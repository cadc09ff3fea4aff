"""Kafka's own `kafka-consumer-groups`, run from its jars."""

import os
import subprocess

import pytest

from tests.brokers.distribution import MissingError, install

_MAIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def consumer_groups(*arguments: str) -> str:
    """What the tool prints. Skips the test where Java is missing; in CI it fails."""
    try:
        distribution = install()
    except MissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"in CI nothing may be skipped: {missing}", pytrace=False)
        pytest.skip(str(missing))
    path = f"{distribution.jars}/*"
    ended = subprocess.run(
        [distribution.java, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", path, _MAIN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
