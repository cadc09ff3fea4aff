"""The fenced blocks of the pages, and the commands in them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "helm" / "optico-worker" / "README.md"])
)
#: What a fence may say. `sh` is typed in, `console` is what was typed in after a `$` and what came back.
LANGUAGES = {"sh", "console", "text", "json", "yaml", "python", "mermaid", "js", "php", "sql", "xml"}
SHELL = {"sh", "console"}
#: Sections that stand for themselves: whoever reads them has not run what stands above.
OWN_SCENES = {
    "docs/operations.md#a-new-api-key",
    "docs/operations.md#saving-and-restoring-offsets",
    "docs/quickstart.md#against-your-cluster",
    "docs/replay.md#kafkas-own-tool",
}
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """`line` is that of the fence; `start` and `end` are where its text stands in the page."""

    page: str
    section: str
    line: int
    language: str
    text: str
    start: int
    end: int

    @property
    def scene(self) -> str:
        """What is run one after the other has this in common."""
        return f"{self.page}#{self.section}" if f"{self.page}#{self.section}" in OWN_SCENES else self.page

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first(self) -> str:
        """Its first command, by which it is known."""
        return self.commands[0].split("\n")[0]

    @property
    def commands(self) -> list[str]:
        """Each with its continuation lines."""
        if self.language == "console":
            return [command for command, _ in self.exchanges]
        return re.findall(r"(?:[^\n]*\\\n)*[^\n]+", self.text)

    @property
    def exchanges(self) -> list[tuple[str, str]]:
        """Of a transcript: what was typed in, and what came back."""
        found: list[tuple[list[str], list[str]]] = []
        continued = False
        for line in self.text.splitlines():
            if continued:
                found[-1][0].append(line)
            elif line.startswith(_PROMPT):
                found.append(([line.removeprefix(_PROMPT)], []))
            else:
                found[-1][1].append(line)
                continue
            continued = line.endswith("\\")
        return [("\n".join(typed), "\n".join(back)) for typed, back in found]


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    name = str(page.relative_to(ROOT))
    return [
        Block(
            name,
            _section(text[: found.start()]),
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
            *found.span("text"),
        )
        for found in _FENCE.finditer(text)
    ]


def _section(before: str) -> str:
    headings = re.findall(r"^## (.*)$", before, re.MULTILINE)
    return anchor(headings[-1]) if headings else ""


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading.strip()).lower())
    return words.replace(" ", "-")


def shell_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in SHELL]
