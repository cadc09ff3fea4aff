"""The keys that `--json` writes are those that the page names, in its order."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.tools import produce, wait_until
from tests.conftest import TopicFactory
from tests.docs.blocks import ROOT
from tests.integration.conftest import Stage, api, stage
from tests.integration.events import cart
from tests.ops.dlq.conftest import Post
from tests.ops.program import inside, optico
from tests.ops.replay.conftest import Replay

__all__ = ["api", "stage"]

PAGE = (ROOT / "docs" / "commands.md").read_text("utf-8")
Keys = dict[str, list[str]]


def _documented() -> Keys:
    found: Keys = {}
    section = PAGE.split("\n## JSON\n")[1].split("\n## ")[0]
    for of, keys in re.findall(r"^\| (`.*?) \| (.*?) \|$", section, re.MULTILINE):
        named = re.findall(r"`(\w+)`", re.sub(r"as `.*?`", "", keys))
        inherited = re.search(r"as `(.*?)`", keys)
        base: list[str] = []
        if inherited:
            same = f"{of.split(':')[0]}: `{inherited[1]}`"
            base = found.get(f"`{inherited[1]}`") or found[same]
        found[of] = base + named
    return found


DOCUMENTED = _documented()


def check_keys(of: str, found: Any) -> None:
    for document in found if isinstance(found, list) else [found]:
        assert list(document) == DOCUMENTED[of], of
    assert found, f"nothing to compare for {of}"


@pytest.fixture
def s(stage: Callable[[], Stage]) -> Stage:
    s = stage()
    s.produce([*(cart(str(number)) for number in range(60)), cart("60", products="none")])
    return s


def test_check(s: Stage) -> None:
    answer = optico("check", "--json", variables=s.settings())

    check_keys("`check`", answer.json)
    check_keys("`check`: `configuration`", answer.json["configuration"])
    check_keys("`check`: `checks`", answer.json["checks"])
    facts = dict(re.findall(r"^\| (`(?:[a-z ]+)`(?:, `[a-z ]+`)?) \| (.*?) \|$", PAGE.split("Facts:")[1], re.MULTILINE))
    named = {name: keys for names, keys in facts.items() for name in re.findall(r"`([a-z ]+)`", names)}
    for found in answer.json["checks"]:
        if found["facts"] is not None:
            assert set(found["facts"]) <= set(re.findall(r"`(\w+)`", named[found["check"]])), found["check"]


def test_render() -> None:
    lines = b'{"type": "cart"}\n\n{"type": "cart", "id": 1, "products": []}\noops\n'

    answer = optico("render", "--json", variables={"WORKER_DEFAULT_CURRENCY": "EUR"}, stdin=lines)

    check_keys("`render`", answer.json_lines)


def test_a_reset(s: Stage) -> None:
    answer = inside("replay", "--to-earliest", "--json", variables=s.settings())

    check_keys("`replay`", answer.json)
    check_keys("`replay`: `partitions`", answer.json["partitions"])


def test_a_replay_alongside(s: Stage) -> None:
    s.api.set_faults([{"id": "1", "status": 500}])
    with Replay(s, "--from", "earliest", "--max-requests-per-second", "20") as running:
        wait_until(lambda: s.api.state().requests >= 10, "some requests", 30)
        running.signal(signal.SIGINT)
        wait_until(lambda: "once more" in running.said() or not running.running(), "its word", 20)
        if running.running():
            running.signal(signal.SIGINT)
        found = running.summary(code=1)

    check_keys("`replay --alongside`", found)
    for name in ("range", "rejected", "failing", "go_on_at"):
        check_keys(f"`replay --alongside`: `{name}`", found[name])


def test_dead_letters(s: Stage, topic: TopicFactory) -> None:
    post = Post(s.bootstrap, s.topic, topic(), s.group, s.api)
    post.reject(post.write([cart("1")]))
    produce(post.bootstrap, post.letters, [post.write([cart("2")])[0]])

    listed = post.dlq("list", "--json").json_lines
    shown = post.dlq("show", "--json", f"{post.letters}:0:0").json

    check_keys("`dlq list`", listed)
    check_keys("`dlq show`", shown)
    check_keys("`dlq show`: `headers`", shown["headers"])
    check_keys("`dlq redrive`", post.dlq("redrive", "--json").json_lines)


def test_every_line_of_the_table_is_compared() -> None:
    source = Path(__file__).read_text("utf-8")
    compared = set(re.findall(r'check_keys\("(.*?)"', source))
    lists = {f"`replay --alongside`: `{name}`" for name in ("range", "rejected", "failing", "go_on_at")}

    assert compared | lists == set(DOCUMENTED)
