"""What the pages say in passing: commands, variables and metrics in their prose exist; the README says what it must."""

import re
import shlex
from typing import Any

import click
import pytest

from tests.docs.blocks import PAGES, ROOT, SHELL, blocks
from tests.docs.test_links import prose
from tests.monitoring.exposed import AWAITED
from worker.adapters.metrics import LABELS, PREFIX, Metrics
from worker.cli import cli
from worker.ports import Snapshot
from worker.settings import FIELDS

#: Values that stand for others on the pages.
_PLACEHOLDERS = {"…": "x", "FILE": "README.md"}
_README = (ROOT / "README.md").read_text("utf-8")
#: In prose, but of others: Kafka's or Kubernetes' own, and examples of what is not known.
FOREIGN = {"KAFKA_PORT_9092_TCP", "KAFKA_TEST_BOOTSTRAP_SERVERS", "OPTICO_WORKER_COMPLETE"}
PARSED = [
    "docs/commands.md",
    "docs/configuration.md",
    "docs/operations.md",
    "docs/dead-letters.md",
    "docs/replay.md",
]


def commands() -> list[Any]:
    """Every command of ours in the prose and in the blocks."""
    found = []
    for page in PAGES:
        texts = re.findall(r"`(optico-worker [^`]+)`", prose(page))
        for block in blocks(page):
            if block.language in SHELL:
                texts += [command for command in block.commands if command.startswith("optico-worker ")]
        found += [pytest.param(text, id=f"{page.stem}: {text[:60]}") for text in dict.fromkeys(texts)]
    return found


@pytest.mark.parametrize("command", commands())
def test_a_command_is_understood(command: str) -> None:
    """By the program's own parser; nothing is run."""
    program, *arguments = shlex.split(re.split(r" \| | > | #", command.replace("\\\n", " "))[0])
    parse(cli, [_PLACEHOLDERS.get(argument, argument) for argument in arguments], program)


def parse(command: click.Command, arguments: list[str], name: str) -> None:
    if arguments in (["--help"], ["--version"]):
        return
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        found, inner, rest = command.resolve_command(context, list(arguments))
        assert inner is not None
        if rest or not isinstance(inner, click.Group):
            parse(inner, rest, str(found))
        return
    parser = command.make_parser(click.Context(command, info_name=name))
    options, left, _ = parser.parse_args(list(arguments))
    if any(value in {"...", "x"} for value in arguments):
        return  # what stands for a value is none
    with click.Context(command, info_name=name, resilient_parsing=False) as context:
        for parameter in command.get_params(context):
            if parameter.name in options and not isinstance(parameter, click.Argument):
                parameter.type_cast_value(context, options[parameter.name])
    assert not left


def test_a_command_that_is_none_is_found() -> None:
    for wrong in ("optico-worker dql list", "optico-worker dlq list --nonsense", "optico-worker dlq list --entity car"):
        with pytest.raises(click.ClickException):
            test_a_command_is_understood(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_variables_that_are_named_exist(page: Any) -> None:
    named = set(re.findall(r"\b(?:KAFKA|OPTICO|WORKER)_[A-Z0-9_]*[A-Z0-9]\b", page.read_text("utf-8")))
    known = {name for field in FIELDS for name in (field, f"{field}_FILE")} | FOREIGN

    assert named - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_that_are_named_with_their_prefix_exist(page: Any) -> None:
    nothing = Snapshot.nothing()
    families = {family.name: family.type for family in Metrics(lambda: nothing, topics=("carts",)).registry.collect()}
    known = {f"{name}{'_total' if kind == 'counter' else ''}" for name, kind in families.items()}
    known |= set(AWAITED)
    known |= {f"{name}{suffix}" for name, kind in families.items() if kind == "histogram" for suffix in _HISTOGRAM}
    named = set(re.findall(rf"\b{PREFIX}[a-z_]+[a-z]\b(?!:)", page.read_text("utf-8")))

    assert {name for name in named if not any(each.startswith(name) for each in known)} == set()
    assert LABELS


_HISTOGRAM = ("_bucket", "_count", "_sum")


def test_the_readme_says_what_it_must() -> None:
    """What it is; the two commands; the data flow as a picture; a real cluster; where to read on."""
    title, what, *_ = re.split(r"\n\n", _README)
    headings = re.findall(r"^## (.*)$", _README, re.MULTILINE)

    assert title == "# Optico worker"
    assert len(what.splitlines()) <= 3
    assert _README.index("make demo") < _README.index("make test") < _README.index("```mermaid")
    assert headings == ["Data flow", "Run it against a real cluster", "Where to read on"]


def test_the_architecture_starts_with_debugging() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")

    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == "If you are debugging"
    paths = re.findall(r"`(worker/[\w/]+(?:\.py|/))`", text)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
