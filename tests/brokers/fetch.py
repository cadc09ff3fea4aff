"""Downloads jars with the Maven client of requirements/tools/maven.txt: `python fetch.py FOLDER COORDINATES ...`

Where it downloads from, the client knows.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maven_artifact.artifact import Artifact
from maven_artifact.downloader import Downloader

AT_ONCE = 8


def main(folder: Path, coordinates: Sequence[str]) -> None:
    def fetch(each: str) -> None:
        artifact = Artifact(*each.split(":"))
        Downloader().download(artifact, str(folder / f"{artifact.artifact_id}-{artifact.version}.jar"))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fetch, coordinates))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
