"""Downloads jars with the Maven client of requirements/tools/maven.txt: `python fetch.py FOLDER COORDINATES ...`

Where it downloads from, the client knows. Which authorities are trusted, the system says: the client's own list would
not know that of a company's proxy.
"""

import os
import ssl
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maven_artifact.artifact import Artifact
from maven_artifact.downloader import Downloader

AT_ONCE = 8


#: Debian's list, for a Python that was built with another place in mind.
_DEBIAN = Path("/etc/ssl/certs/ca-certificates.crt")


def _trust_as_the_system_does() -> None:
    known = ssl.get_default_verify_paths().cafile or (str(_DEBIAN) if _DEBIAN.exists() else None)
    if known is not None:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", known)


def main(folder: Path, coordinates: Sequence[str]) -> None:
    def fetch(each: str) -> None:
        artifact = Artifact(*each.split(":"))
        Downloader().download(artifact, str(folder / f"{artifact.artifact_id}-{artifact.version}.jar"))

    _trust_as_the_system_does()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fetch, coordinates))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
