"""One language: words that only this project would understand stay out (tests/words.txt)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORDS = dict(
    line.split("\t") for line in (ROOT / "tests/words.txt").read_text("utf-8").splitlines() if not line.startswith("#")
)
#: Reports of measurements are kept as they were written; an example may sell what it likes.
KEPT = ("docs/chaos.md", "docs/performance/", "docs/commands.md")
#: The value of the dirty marker, which older versions of the worker read; and the outbox table of databases.
ALLOWED = ("optico-worker: unclear",)


def texts() -> dict[str, str]:
    folders = (path for folder in ("worker", "docs", "helm") for path in sorted((ROOT / folder).rglob("*")))
    found = {}
    for path in [ROOT / "README.md", *folders]:
        name = str(path.relative_to(ROOT))
        if path.suffix in {".md", ".py", ".tpl", ".txt", ".yaml"} and not name.startswith(KEPT):
            text = path.read_text("utf-8")
            for allowed in ALLOWED:
                text = text.replace(allowed, "")
            found[name] = text
    return found


TEXTS = texts()


def places(word: str) -> list[str]:
    pattern = re.compile(rf"\b{re.escape(word)}\b".replace(r"\ ", r"\s+"))
    return [name for name, text in TEXTS.items() if pattern.search(text)]


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_word_of_our_own_is_not_used(word: str) -> None:
    assert places(word) == [], f"say {WORDS[word]!r}"


def test_a_word_is_found_also_across_a_line_s_end() -> None:
    assert places("delivery queue")
    TEXTS["example"] = "what\n  waits"
    try:
        assert "example" in places("what waits")
    finally:
        del TEXTS["example"]
