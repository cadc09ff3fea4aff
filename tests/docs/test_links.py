"""Links between the pages lead somewhere, to the heading too."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, anchor, blocks

#: Pages that are not run, and have links all the same.
LINKING = (*PAGES, ROOT / "CHANGELOG.md")


def prose(page: Path) -> str:
    """Without what stands in fences."""
    text = page.read_text("utf-8")
    for block in reversed(blocks(page)):
        text = text[: block.start] + text[block.end :]
    return text


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if not link.startswith(("http://", "https://"))]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    found: set[str] = set()
    for name in map(anchor, headings):
        number = sum(1 for other in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", other))
        found.add(f"{name}-{number}" if number else name)
    return found


def broken(page: Path) -> list[str]:
    wrong = []
    for link in links(page):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_page_is_linked_by_another(page: Path) -> None:
    leading = {
        (other.parent / link.partition("#")[0]).resolve() for other in PAGES if other != page for link in links(other)
    }

    assert page in leading


def test_the_way_from_an_alert_to_its_runbook() -> None:
    """Each alert's section exists, and the runbook's symptoms lead to sections of the alerts' page."""
    rows = re.findall(r"^\| `OpticoWorker\w+` .*\((#[\w-]+)\) \|$", prose(ROOT / "docs" / "alerts.md"), re.MULTILINE)

    assert {row.removeprefix("#") for row in rows} <= anchors(ROOT / "docs" / "alerts.md")
    assert len(rows) > 10
    assert len([link for link in links(ROOT / "docs" / "operations.md") if link.startswith("alerts.md#")]) > 5


@pytest.mark.parametrize("text", ["[a](nowhere.md)", "[a](there.md#not-that)", "[a](#nothing)"])
def test_a_broken_link_is_found(tmp_path: Path, text: str) -> None:
    page, there = tmp_path / "page.md", tmp_path / "there.md"
    page.write_text(f"# A heading\n\n{text} [b](there.md#a-heading-its-own) [c](#a-heading)\n")
    there.write_text("# A heading: it's *own*\n\n## A `heading` its own\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.docs.blocks.ROOT", tmp_path)
        assert len(broken(page)) == 1
