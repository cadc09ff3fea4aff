"""The code of docs/producers.md, as files: a fence names its file after its language."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "producers.md"
_FENCE = re.compile(r"^```(?P<language>\w+) (?P<name>[\w.]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """By name, in the page's order; a name is given once."""
    found = [(match["name"], match["text"]) for match in _FENCE.finditer(PAGE.read_text("utf-8"))]
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), f"{PAGE.name} has two files of one name: {names}"
    return dict(found)


def write(folder: Path, *names: str) -> None:
    """Puts these files of the page into the folder. KeyError if the page has none of that name."""
    known = files()
    for name in names:
        (folder / name).write_text(known[name], "utf-8")
