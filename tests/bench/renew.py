"""Renews what of docs/performance.md and its folder comes from figures: `python -m tests.bench.renew`.

The same figures make the same bytes, so that a test can tell whether the page is in step with them.
"""

from pathlib import Path

from tests.bench import figures, page
from tests.bench.svg import draw
from tests.soak import report as soak

FOLDER = Path(__file__).parents[2] / "docs" / "performance"
FIGURES, PEERS = "figures.json", "peers"


def write(folder: Path) -> None:
    """Plots into the folder, tables into the page beside it."""
    for path, content in files(folder).items():
        path.write_text(content, encoding="utf-8")


def files(folder: Path) -> dict[Path, str]:
    """What the figures of the folder make: each file with its content."""
    measured = figures.load(folder / FIGURES) if (folder / FIGURES).exists() else {}
    plots = [plot for each in measured.values() for plot in each.findings.plots]
    sections = {name: list(page.section(each, folder.name)) for name, each in measured.items()}
    sections["environment"] = list(page.environments(measured))
    if (folder / soak.JSON).exists():
        result, date = soak.load(folder / soak.JSON)
        drawn = soak.plots(result)
        images = [f"![{plot.title}]({folder.name}/{plot.name}.svg)" for plot in drawn]
        sections["soak"] = [*soak.section(result, date), "", *images]
        plots += drawn
    made = {folder / f"{plot.name}.svg": draw(plot) for plot in plots}
    text = folder.with_suffix(".md")
    if text.exists():
        made[text] = page.fill(text.read_text(encoding="utf-8"), sections)
    return made


if __name__ == "__main__":
    write(FOLDER)
