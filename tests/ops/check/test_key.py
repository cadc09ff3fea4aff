"""`check --key`: the key is posted, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ops.program import KEY, inside
from worker.ops.check import api
from worker.ops.check.finding import Finding
from worker.sandbox.api import Sandbox
from worker.settings import load


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(keys={KEY}) as running:
        yield running


def tried(sandbox: Sandbox, key: str = KEY, *, try_key: bool = True) -> Finding:
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_TOPICS": "carts",
        "OPTICO_URL": sandbox.url,
        "OPTICO_API_KEY": key,
    }
    (found,) = (finding for finding in api.check(load(variables).optico, try_key=try_key) if finding.check == "key")
    return found


def test_a_key_that_the_api_knows_is_ok_and_nothing_comes_of_it(sandbox: Sandbox) -> None:
    found = tried(sandbox)
    assert (found.verdict, found.facts) == ("ok", {"known": True})
    assert sandbox.records() == []


def test_a_key_that_is_refused_is_red_in_whatever_spelling(sandbox: Sandbox) -> None:
    found = tried(sandbox, "sk_another_key_0123")
    assert (found.verdict, found.facts) == ("red", {"known": False})
    assert "sk_another_key_0123" not in f"{found}"


@pytest.mark.parametrize("fault", [{"html": True}, {"status": 503}, {"reset": "before"}, {"garbage": True}])
def test_what_is_no_answer_of_the_api_says_nothing_about_the_key(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.set_faults([fault])
    found = tried(sandbox)
    assert (found.verdict, found.facts) == ("red", {"known": None})


def test_a_key_that_was_not_tried_is_a_warning(sandbox: Sandbox) -> None:
    found = tried(sandbox, "sk_another_key_0123", try_key=False)
    assert (found.verdict, found.facts, found.remedy) == (
        "warn",
        {"known": None},
        "check --key posts it to the API, and nothing else",
    )
    assert sandbox.requests() == []


def test_the_command_fails_on_a_refused_key_only_where_it_was_to_be_tried(sandbox: Sandbox) -> None:
    variables = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_TOPICS": "carts", "OPTICO_URL": sandbox.url}
    for arguments, verdict in ((("--key",), "ok"), ((), "warn")):
        answer = inside("check", "--json", *arguments, variables=variables)
        assert [each["verdict"] for each in answer.json["checks"] if each["check"] == "key"] == [verdict]
