"""What this machine lacks, no package registry brings, and tests can do without: `python3 -m tests.left_out`.

Says so in two lines, the second of which is the command that brings it. Where CI is set, nothing may be left out: it
fails. `--packages` prints Debian's packages only. It runs before anything is installed.
"""

import os
import shutil
import subprocess
import sys

_LIBRDKAFKA = "FFI::cdef('', 'librdkafka.so.1'); echo 'found';"


def php() -> bool:
    """Whether there is PHP that can load librdkafka, by its extension or through FFI."""
    if shutil.which("php") is None:
        return False
    return "rdkafka" in _said("php", "-m") or "found" in _said("php", "-r", _LIBRDKAFKA)


def prometheus() -> bool:
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def curl() -> bool:
    return shutil.which("curl") is not None


#: What is looked for, the tests that are skipped without it, and Debian's packages.
PARTS = (
    ("PHP with librdkafka", "a shop written in PHP, and how PHP reads a form", ("php-cli", "librdkafka1"), php),
    ("Prometheus", "alerts, rules and the dashboard on a real Prometheus", ("prometheus",), prometheus),
    ("curl", "the commands of the pages", ("curl",), curl),
)


def main(*arguments: str) -> int:
    lacking = [part for part in PARTS if not part[3]()]
    packages = " ".join(package for part in lacking for package in part[2])
    if "--packages" in arguments:
        print(packages)  # noqa: T201
        return 0
    if lacking:
        print("left out, the tests of:", "; ".join(f"{tests} ({name} is missing)" for name, tests, _, _ in lacking))  # noqa: T201
        print(f"what is missing comes with: apt-get install {packages}")  # noqa: T201
    return 1 if lacking and os.environ.get("CI") else 0


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
