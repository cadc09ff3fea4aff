"""Renews jars.txt from pom.xml, with Maven: python -m tests.brokers.lock"""

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from tests.brokers.distribution import JARS

POM = Path(__file__).with_name("pom.xml")
_COORDINATES = re.compile(r"([\w.-]+):([\w.-]+):jar:([\w.-]+):(?:compile|runtime)")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found, jars = Path(folder) / "list", Path(folder) / "jars"
        maven = ["mvn", "-B", "-q", "--strict-checksums", "-f", str(POM)]
        subprocess.run([*maven, "dependency:list", f"-DoutputFile={found}"], check=True)
        subprocess.run([*maven, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"], check=True)
        coordinates = sorted(match.groups() for match in _COORDINATES.finditer(found.read_text()))
        digests = [
            hashlib.sha256((jars / f"{artifact}-{version}.jar").read_bytes()).hexdigest()
            for _, artifact, version in coordinates
        ]
    head = [line for line in JARS.read_text().splitlines() if line.startswith("#")]
    lines = [f"{':'.join(each)} {digest}" for each, digest in zip(coordinates, digests, strict=True)]
    JARS.write_text("\n".join([*head, *lines, ""]))


if __name__ == "__main__":
    main()
