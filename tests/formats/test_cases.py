"""Records as shops really write them: each becomes what the contract says."""

from typing import Any

import pytest

from tests.formats.events import Case, cases
from tests.settings.environments import LEAST
from worker.core.event import Event, Invalid, Skipped
from worker.formats import encode, read
from worker.settings import load

_OUTCOMES = {Event: "sent", Skipped: "skipped", Invalid: "rejected"}
_KNOWN = {"outcome", "form_holds", "form_lacks", "repairs", "reason", "message_holds", "settings", "note"}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_case_becomes_what_it_should(case: Case) -> None:
    config = load({**LEAST, **case.right.get("settings", {})}).reading()
    found = read(case.value, config)

    assert set(case.right) <= _KNOWN
    assert _OUTCOMES[type(found)] == case.right["outcome"], found
    if isinstance(found, Event):
        pairs = encode(case.value, config, "k").pairs()
        assert [pair for pair in _expected(case, "form_holds") if tuple(pair) not in pairs] == []
        assert set(_expected(case, "form_lacks")) & {name for name, _ in pairs} == set()
    if "repairs" in case.right:
        assert not isinstance(found, Invalid)
        assert sorted(found.repairs) == sorted(case.right["repairs"])
    if "reason" in case.right:
        assert not isinstance(found, Event)
        assert found.reason == case.right["reason"]
    if "message_holds" in case.right:
        assert isinstance(found, Invalid)
        assert case.right["message_holds"] in found.message


def test_no_case_is_missing() -> None:
    names = [case.name for case in cases()]
    assert len(names) == 51
    assert {each.right["outcome"] for each in cases()} == {"sent", "skipped", "rejected"}


def _expected(case: Case, name: str) -> list[Any]:
    found: list[Any] = case.right.get(name, [])
    return found
