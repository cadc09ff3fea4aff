from collections.abc import Iterator

import pytest

from tests.sandbox.support import KEY
from worker.sandbox.api import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(keys={KEY}) as running:
        yield running
