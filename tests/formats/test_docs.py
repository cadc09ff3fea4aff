"""The examples for producers are valid events."""

import json
import re
from pathlib import Path

import pytest

from tests.formats.events import encoded, sent
from worker.formats import REPAIRS

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
EXAMPLES = [each.encode() for each in re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_event_keyed_as_the_page_says(example: bytes) -> None:
    assert f"Key `{sent(example).entity}`" in PAGE
    assert sent(example).repairs == {}


def test_every_kind_of_event_has_an_example() -> None:
    kinds = {(json.loads(example).get("source"), sent(example).entity.kind) for example in EXAMPLES}
    assert kinds >= {(None, "cart"), ("optico", "order"), ("cs-cart", "cart"), ("cs-cart", "order")}


def test_the_page_shows_the_form_of_its_first_example() -> None:
    shown = re.findall(r"^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    found = encoded(EXAMPLES[0], key="***")
    assert shown.splitlines() == [f"POST {found.path}", *(f"{name}={value}" for name, value in found.pairs())]


def test_the_page_has_every_repair() -> None:
    for repair in REPAIRS:
        assert f"`{repair.label}`" in PAGE
