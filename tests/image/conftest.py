"""The image, built once for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.buildah import Buildah, MissingError
from tests.image.container import Image

ROOT = Path(__file__).parents[2]
TAG = "optico-worker:test"


@pytest.fixture(scope="session")
def buildah() -> Iterator[Buildah]:
    builder = Buildah()
    try:
        builder.__enter__()
    except MissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"in CI nothing may be skipped: {missing}", pytrace=False)
        pytest.skip(str(missing))
    try:
        yield builder
    finally:
        builder.__exit__()


@pytest.fixture(scope="session")
def image(buildah: Buildah) -> Image:
    buildah.build(ROOT, TAG, "--build-arg", "VERSION=1.2.3", "--build-arg", "REVISION=abc")
    return Image(buildah.mount(TAG), buildah.configuration(TAG))
