"""The image, built once for all tests."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.image.buildah import Buildah, MissingError
from tests.image.container import Image

ROOT = Path(__file__).parents[2]
TAG = "optico-worker:test"


@pytest.fixture(scope="session")
def buildah(request: pytest.FixtureRequest) -> Iterator[Buildah]:
    with ExitStack() as stack:
        builder = _entered(stack)
        if isinstance(builder, Buildah):
            yield builder
        elif os.environ.get("CI") or request.config.getoption("markexpr") == "image":
            pytest.fail(f"the image was asked for, and can't be built here: {builder}", pytrace=False)
        else:
            pytest.skip(builder)


def _entered(stack: ExitStack) -> Buildah | str:
    """A builder, or what this machine lacks."""
    try:
        return stack.enter_context(Buildah())
    except MissingError as missing:
        return str(missing)


@pytest.fixture(scope="session")
def image(buildah: Buildah) -> Image:
    buildah.build(ROOT, TAG, "--build-arg", "VERSION=1.2.3", "--build-arg", "REVISION=abc")
    return Image(buildah.mount(TAG), buildah.configuration(TAG))
