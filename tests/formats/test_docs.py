"""The examples for producers are valid events."""

import json
import re
from pathlib import Path

import pytest

from worker.core.event import Defaults, Event
from worker.formats import decode, pairs

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_event_keyed_as_the_page_says(example: str) -> None:
    outcome = decode(example.encode(), Defaults())
    assert isinstance(outcome, Event), outcome
    assert f"Key `{outcome.entity}`" in PAGE


def test_every_kind_of_event_has_an_example() -> None:
    kinds = {(json.loads(example).get("source"), decode(example.encode(), Defaults())[0]) for example in EXAMPLES}
    assert {(source, str(entity).partition(":")[0]) for source, entity in kinds} >= {
        (None, "cart"),
        ("optico", "order"),
        ("cs-cart", "cart"),
        ("cs-cart", "order"),
    }


def test_the_page_shows_the_form_of_its_first_example() -> None:
    shown = re.findall(r"^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    path, parameters = pairs(EXAMPLES[0].encode(), Defaults())
    assert shown.splitlines() == [f"POST {path}", *(f"{name}={value}" for name, value in parameters)]
