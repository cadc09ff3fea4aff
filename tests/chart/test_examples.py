"""What the documentation shows is what the chart takes."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import library
from tests.chart.rendering import CHART, LEAST, ROOT, Document, Helm, values_of

_BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PAGES = (ROOT / "docs" / "kubernetes.md", CHART / "README.md")


def examples() -> list[Any]:
    """Every YAML block of the pages."""
    return [
        pytest.param(textwrap.dedent(block), id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(_BLOCK.findall(page.read_text("utf-8")))
    ]


@pytest.mark.parametrize("example", examples())
def test_every_example_is_accepted(helm: Helm, tmp_path: Path, example: str) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(example, encoding="utf-8")
    assert helm.render(LEAST, path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_first_example_is_enough_to_install(helm4: Helm, tmp_path: Path, page: Path) -> None:
    """And what the page's first section adds to it fits."""
    section = page.read_text("utf-8").split("\n## ")[1]
    assert section.startswith("Install")
    paths = []
    for number, block in enumerate(_BLOCK.findall(section)):
        paths.append(tmp_path / f"{number}.yaml")
        paths[-1].write_text(textwrap.dedent(block), encoding="utf-8")
        assert helm4.render(*paths)
    assert "worker.yaml" in section


def test_there_are_examples() -> None:
    assert len(examples()) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_value_that_is_named_is_there(page: Path) -> None:
    library("yaml")
    values = values_of(CHART / "values.yaml")
    named = re.findall(r"`([a-z][A-Za-z]*(?:\.[A-Za-z]+)+)\b", page.read_text("utf-8"))
    ours = {name for name in named if name.split(".")[0] in values and name != "worker.yaml"}
    assert len(ours) > 10
    assert {name for name in ours if not _there(values, name)} == set()


def _there(values: Document, name: str) -> bool:
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True
