"""Programs of other languages: a developer without one skips its tests, in CI that fails."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests import programs
from tests.conftest import absent
from tests.producers import tools
from tests.programs import MissingError

T = TypeVar("T")


@pytest.fixture(scope="session")
def php() -> str:
    return _needed(tools.php)


@pytest.fixture(scope="session")
def node() -> str:
    return _needed(programs.node)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    return _needed(tools.node_modules)


@pytest.fixture(scope="session")
def datamodel_codegen() -> Sequence[str]:
    return _needed(tools.datamodel_codegen)


def _needed(find: Callable[[], T]) -> T:
    try:
        return find()
    except MissingError as missing:
        absent(str(missing))
