"""Where Prometheus' programs are, and what happens where they are not."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

_CACHE = Path.home() / ".cache" / "optico-worker" / "bin"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; without it the test is skipped, and fails in CI."""
    found = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}{_CACHE}")
    return found or _absent(f"missing: {name} (Debian: apt-get install prometheus)")


def _absent(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"in CI nothing may be skipped: {reason}", pytrace=False)
    pytest.skip(reason)
