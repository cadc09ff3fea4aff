"""Every command of the pages is run, and does what the page says."""

from typing import Any

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.conftest import absent
from tests.docs.blocks import LANGUAGES, PAGES, ROOT, Block, blocks
from tests.docs.not_run import NOT_RUN
from tests.docs.run import PageError, reason, run, scripts
from tests.docs.scenes import SCENES
from tests.docs.transcripts import agree, renewed
from tests.left_out import curl

SCRIPTS = {scene: script for page in PAGES for scene, script in scripts(page).items()}


def every_block() -> list[Any]:
    return [pytest.param(block, id=str(block)) for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("scene", SCRIPTS)
def test_the_commands_of_a_page_do_what_it_says(scene: str, kafka: KafkaCluster | ExternalCluster) -> None:
    if isinstance(kafka, ExternalCluster):
        pytest.skip("pages name topics and groups that a cluster of others may have")
    if not curl():
        absent("missing: curl, which the pages ask with (Debian: apt-get install curl)")

    for block, transcript in run(scene, SCRIPTS[scene], kafka).items():
        assert transcript == block.text, f"{block} shows something else; `python -m tests.docs.run` renews it"


@pytest.mark.parametrize("block", every_block())
def test_a_block_says_what_it_is(block: Block) -> None:
    """Without that, a command could stand on a page that no test looks at."""
    assert block.language in LANGUAGES, f"{block}: ```{block.language} is none of {sorted(LANGUAGES)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_stand_in_fences(page: Any) -> None:
    """Not in blocks that are merely indented."""
    fenced = page.read_text("utf-8")
    for block in reversed(blocks(page)):
        fenced = fenced[: block.start] + fenced[block.end :]
    programs = ("optico-worker ", "curl ", "docker ", "kubectl ", "helm ", "make ", "python ", "$ ")

    assert not [line for line in fenced.splitlines() if line.startswith("    ") and line.strip().startswith(programs)]


def test_each_scene_has_a_page_and_each_page_with_commands_a_scene() -> None:
    assert set(SCENES) == set(SCRIPTS)


def test_each_block_that_is_not_run_is_there() -> None:
    found = {entry for entry in NOT_RUN for page in PAGES for block in blocks(page) if _is(block, *entry)}

    assert found == set(NOT_RUN)
    assert all(NOT_RUN.values())


def _is(block: Block, page: str, first: str) -> bool:
    return block.page == page and block.language in {"sh", "console"} and block.first.startswith(first)


def block_of(text: str, language: str = "sh") -> Block:
    return Block("README.md", "", 1, language, text, 0, len(text))


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("optico-worker nonsense\n", "sh", "No such command"),
        ("false\noptico-worker --version\n", "sh", "exits with 1"),
        ("$ optico-worker --version    # exits with 1\n", "console", "exits with 0, not 1"),
        ("kafka-topics.sh --bootstrap-server localhost:9092 --nonsense\n", "sh", "nonsense"),
    ],
    ids=["unknown command", "a failure in the middle", "another code", "Kafka's own"],
)
def test_a_page_that_is_wrong_is_found(
    text: str, language: str, said: str, kafka: KafkaCluster | ExternalCluster
) -> None:
    if isinstance(kafka, ExternalCluster):
        pytest.skip("pages name topics and groups that a cluster of others may have")

    with pytest.raises(PageError, match=said):
        run("docs/quickstart.md", [block_of(text, language)], kafka)


def test_a_block_that_nobody_has_marked_is_run() -> None:
    assert reason(block_of("rm -rf something\n")) is None


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("at 2026-11-21T08:00:00Z", "at 2026-11-24T15:01:02Z"),
        ("50 requests in 1.4 s;", "50 requests in 12.0 s;"),
        ("first\n...\nlast", "first\nsecond\nthird\nlast"),
        ("│ a    │\n└──────┘", "│ a │\n└───┘"),
    ],
)
def test_what_differs_from_run_to_run_may_differ(shown: str, said: str) -> None:
    assert agree(shown, said)
    assert not agree(shown, f"{said}\nmore")
    assert not agree(f"{shown}!", said)


def test_a_transcript_is_renewed_less_what_the_page_leaves_out() -> None:
    shown = "Configuration\n│ KAFKA_TOPICS │ carts │\n...\nred 1"

    new = renewed(shown, "Configuration\n│ KAFKA_TOPICS │ orders │\n│ KAFKA_GROUP_ID │ x │\nred 2")

    assert new == "Configuration\n│ KAFKA_TOPICS │ orders │\n...\nred 2"
    with pytest.raises(ValueError, match="said no more: "):
        renewed("gone is gone\n...", "something else")
