"""What to do about an alert, as docs/alerts.md says it: sections, their steps, and the queries in them."""

import re
from dataclasses import dataclass
from typing import Final

from tests.monitoring.rules import ROOT

PAGE: Final = ROOT / "docs" / "alerts.md"
_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<text>(?:(?!#).*\n?)*)", re.MULTILINE)
_STEP = re.compile(r"^\d+\. (?P<text>.+\n(?: {3}.+\n)*)", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Section:
    """`steps`: in order, each a line."""

    title: str
    steps: tuple[str, ...]

    @property
    def anchor(self) -> str:
        return anchor(self.title)


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _sections() -> list[Section]:
    text = PAGE.read_text(encoding="utf-8")
    return [
        Section(found["title"], tuple(" ".join(step["text"].split()) for step in _STEP.finditer(found["text"])))
        for found in _SECTION.finditer(text[text.index("# What to do") :])
    ]


SECTIONS: Final = _sections()


def queries(text: str) -> list[str]:
    """What is to be asked of Prometheus."""
    return [code for code in _CODE.findall(text) if "optico_worker_" in code]


#: Words that the log is said to have: in the steps they follow "The log says", or stand alone.
LOGGED: Final = [
    words
    for section in SECTIONS
    for step in section.steps
    for words in re.findall(r"(?:log says(?: why:)? |^)`([a-z' ]+ [a-z' ]+)`", step)
]
QUERIES: Final = [query for section in SECTIONS for step in section.steps for query in queries(step)]
