"""Builds the image without a container engine: Debian's buildah in a chroot, on a base that is made here."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

BASE = "python:3.13-slim"
#: The Debian that the base is of, whose Python is the base's.
RELEASE = "trixie"
_CACHE = Path.home() / ".cache" / "optico-worker" / f"base-{RELEASE}.tar"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: How pip reaches its index here, which is this machine's business and not the Dockerfile's.
_WAYS = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries"}
_CERTIFICATES = "/run/certificates.pem"


class MissingError(Exception):
    """What the build needs and this machine lacks."""


class Buildah:
    """Context manager: a store of its own, gone at the end. Raises MissingError when it is entered."""

    def __init__(self) -> None:
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise MissingError("building an image in a chroot needs root")
        programs = ("buildah", "unshare") + (() if _CACHE.exists() else ("mmdebstrap",))
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            raise MissingError(f"missing: {', '.join(missing)} (Debian: apt-get install buildah mmdebstrap util-linux)")
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optico-image-")))
            stack.callback(self._forget)
            self._commit_base()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def build(self, context: Path, tag: str, *options: str) -> None:
        """Builds the image of this folder; AssertionError with the output if that fails."""
        mounts = [f"--volume={source}:{target}:ro" for source, target in self._pip_settings()]
        self("bud", "--pull-never", "--layers=false", *mounts, *options, "--tag", tag, str(context))

    def configuration(self, tag: str) -> dict[str, Any]:
        """The image's `config`, in the words of the OCI image specification."""
        found: dict[str, Any] = json.loads(self("inspect", "--type", "image", tag))["OCIv1"]["config"]
        return found

    def mount(self, tag: str) -> Path:
        """The root of a container of this image."""
        return Path(self("mount", self("from", "--pull-never", tag)))

    def __call__(self, *arguments: str) -> str:
        store = ["--root", str(self._folder / "root"), "--runroot", str(self._folder / "run")]
        environment = os.environ | {"BUILDAH_ISOLATION": "chroot"}
        return _run(["buildah", *store, *arguments], environment).strip()

    def _commit_base(self) -> None:
        container = self("from", "scratch")
        self("add", "--quiet", container, str(_base()), "/")
        self("run", container, "ln", "-s", "/usr/bin/python3", "/usr/local/bin/python")
        self("config", "--env", f"PATH={_PATH}", container)
        self("commit", "--quiet", "--rm", container, f"localhost/{BASE}")

    def _forget(self) -> None:
        self("umount", "--all")
        self("rm", "--all")

    def _pip_settings(self) -> Iterator[tuple[Path, str]]:
        settings = self._folder / "pip.conf"
        lines = ["[global]"]
        for name, value in _pip():
            if name in _WAYS:
                lines.append(f"{name} = {value}")
            elif name == "cert":
                lines.append(f"cert = {_CERTIFICATES}")
                yield Path(value), _CERTIFICATES
        settings.write_text("\n".join(lines) + "\n")
        yield settings, "/etc/pip.conf"


def _base() -> Path:
    """A minimal Debian with Python, made once; takes a minute."""
    if not _CACHE.exists():
        _CACHE.parent.mkdir(parents=True, exist_ok=True)
        unfinished = _CACHE.with_name(f"unfinished-{os.getpid()}.tar")
        packages = "--include=python3-venv,ca-certificates"
        _run(["mmdebstrap", "--quiet", "--variant=minbase", packages, RELEASE, str(unfinished)], dict(os.environ))
        unfinished.rename(_CACHE)
    return _CACHE


def _pip() -> Iterator[tuple[str, str]]:
    """What pip is set up with on this machine, from files and variables; the last of a name counts."""
    told = _run([sys.executable, "-m", "pip", "config", "list"], dict(os.environ))
    found = {}
    for line in told.splitlines():
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    yield from found.items()


def _run(command: Sequence[str], environment: dict[str, str]) -> str:
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout
