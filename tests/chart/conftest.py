"""Real Helm, 3 and 4. Where a tool can't be had, the tests that want it are skipped, and fail in CI."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from tests.chart import tools
from tests.chart.rendering import Helm
from tests.programs import MissingError

Result = TypeVar("Result")

#: Seconds; the first test of a run may download or build what it needs.
_SETTING_UP = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_SETTING_UP))


@pytest.fixture(scope="session", params=tools.HELM_VERSIONS, ids="helm{}".format)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Each Helm in turn."""
    library("yaml")
    return Helm(_had(tools.helm, request.param), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def helm4(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The newest Helm, where a second one would show nothing new."""
    library("yaml")
    return Helm(_had(tools.helm, 4), tmp_path_factory.mktemp("helm4"))


@pytest.fixture(scope="session")
def helm3(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The one before, to be compared with it."""
    library("yaml")
    return Helm(_had(tools.helm, 3), tmp_path_factory.mktemp("helm3"))


@pytest.fixture(scope="session")
def kube_score() -> Path:
    return _had(tools.kube_score)


@pytest.fixture(scope="session")
def kubernetes_validate() -> Any:
    return library("kubernetes_validate")


def library(name: str) -> Any:
    return _had(tools.library, name)


def _had(get: Callable[..., Result], *arguments: Any) -> Result:
    try:
        return get(*arguments)
    except MissingError as missing:
        _absent(str(missing))


def _absent(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"in CI nothing may be skipped: {reason}", pytrace=False)
    pytest.skip(reason)
