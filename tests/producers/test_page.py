"""The page is the only place that has its code, and nothing on it goes unlooked at."""

import re

import pytest

from tests.docs.blocks import PAGES, blocks
from tests.producers import page
from tests.producers.tools import HERE


def test_every_file_of_the_page_is_taken_by_a_test() -> None:
    tests = "".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))

    assert [name for name in page.files() if f'"{name}"' not in tests] == []
    assert len(page.files()) > 5


def test_every_block_of_the_page_is_a_file() -> None:
    """Without a name a block would be looked at by nobody."""
    shown = {block.text for found in PAGES if found == page.PAGE for block in blocks(found)}

    assert shown == set(page.files().values())


def test_a_file_that_the_page_lacks_is_found() -> None:
    with pytest.raises(KeyError, match=re.escape("nothing.mjs")):
        page.write(HERE, "nothing.mjs")
