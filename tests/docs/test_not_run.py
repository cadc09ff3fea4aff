"""What can't be run here, looked at as closely as it can be."""

import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.chart import tools
from tests.chart.conftest import helm4
from tests.chart.rendering import CHART, Document, Helm, documents, one
from tests.docs.blocks import PAGES, ROOT, SHELL, Block, blocks
from tests.docs.run import reason

__all__ = ["helm4"]

WORKERS = "worker-optico-worker"


def left_out(*programs: str) -> list[tuple[Block, list[str]]]:
    """Commands of blocks that are not run, in words, by their program."""
    found = [
        (block, shlex.split(command.replace("\\\n", " "), comments=True))
        for page in PAGES
        for block in blocks(page)
        if block.language in SHELL and reason(block) is not None
        for command in block.commands
    ]
    return [(block, words) for block, words in found if words and words[0] in programs]


def parameters(*programs: str) -> list[Any]:
    return [pytest.param(block, words, id=f"{block}: {' '.join(words[:3])}") for block, words in left_out(*programs)]


def test_every_program_is_looked_at() -> None:
    known = {"make", "python", "python3", ".", "pip", "docker", "optico-worker", "kubectl", "helm"}
    every = [words[0] for _, words in left_out(*known)]
    blocks_left_out = [b for p in PAGES for b in blocks(p) if b.language in SHELL and reason(b) is not None]

    assert set(every) == known
    assert len(every) == sum(len(block.commands) for block in blocks_left_out)


@pytest.mark.parametrize(("block", "words"), parameters("make"))
def test_a_make_target_exists(block: Block, words: list[str]) -> None:
    answer = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, f"{block}: {answer.stderr}"


@pytest.mark.parametrize(("block", "words"), parameters("python"))
def test_a_module_that_is_run_has_the_options(block: Block, words: list[str]) -> None:
    command = [sys.executable, *words[1:3], "--help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert words[1] == "-m", block
    assert answer.returncode == 0, answer.stderr
    assert [word for word in words[3:] if word.startswith("--") and word not in answer.stdout] == []


@pytest.mark.parametrize(("block", "words"), parameters("pip"))
def test_what_pip_is_to_install_is_there(block: Block, words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    what = words[-1]

    assert words[1] == "install", block
    if what.startswith("."):
        extra = re.fullmatch(r"\.(?:\[(\w+)\])?", what)
        assert extra, block
        assert extra[1] is None or extra[1] in project["optional-dependencies"]
    else:
        lines = (ROOT / what).read_text("utf-8")
        assert "--require-hashes" in words
        assert "--hash=" in lines


@pytest.mark.parametrize(("block", "words"), parameters("docker"))
def test_what_docker_is_told_fits(block: Block, words: list[str]) -> None:
    verb, options = words[1], words[2:]
    assert verb in {"build", "run", "rm"}, block
    if verb == "build":
        arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
        given = {options[at + 1].partition("=")[0] for at, word in enumerate(options) if word == "--build-arg"}
        assert given <= arguments
        assert options[-1] == "."
    elif "kafka" in options:
        started = next(b for b in blocks(ROOT / block.page) if b.first.startswith("docker run --detach"))
        assert "--name kafka" in started.first
        assert "--publish 9092:9092" in started.first


def kubectl(*arguments: str) -> str:
    options = ("--dry-run=client", "--output=yaml", "--kubeconfig=/dev/null")
    command = [str(tools.kubectl()), *arguments, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def understood_by_kubectl(verb: str, options: list[str]) -> None:
    said = subprocess.run([str(tools.kubectl()), verb, "--help"], capture_output=True, text=True, check=True).stdout
    said += subprocess.run([str(tools.kubectl()), "options"], capture_output=True, text=True, check=True).stdout
    assert [option for option in options if not re.search(rf"{option}\b", said)] == []


def rendered(helm: Helm, page: str, release: str, namespace: str, tmp_path: Path) -> list[Document]:
    """What the page's first values give, under its names."""
    source = CHART / "README.md" if page.startswith("helm/") else ROOT / "docs" / "kubernetes.md"
    values = tmp_path / "worker.yaml"
    values.write_text(next(block.text for block in blocks(source) if block.language == "yaml"), "utf-8")
    return documents(helm("template", release, str(CHART), "--namespace", namespace, "--values", str(values)))


@pytest.mark.parametrize(("block", "words"), parameters("kubectl"))
def test_what_kubectl_is_told_is_what_the_chart_knows(
    block: Block, words: list[str], helm4: Helm, tmp_path: Path
) -> None:
    found = rendered(helm4, block.page, "worker", "shop", tmp_path)
    workers = one(found, "Deployment")
    if words[1:3] == ["create", "namespace"]:
        assert words[3] == workers["metadata"]["namespace"]
        kubectl(*words[1:])
    elif words[1:3] == ["create", "secret"]:
        own = words[1 : words.index("|")] if "|" in words else words[1:]
        (secret,) = documents(kubectl(*(word for word in own if word not in {"--dry-run=client", "--output=yaml"})))
        volumes = workers["spec"]["template"]["spec"]["volumes"]
        sources = [source["secret"] for volume in volumes for source in volume.get("projected", {}).get("sources", [])]
        wanted = {(source["name"], item["key"]) for source in sources for item in source["items"]}
        assert {(secret["metadata"]["name"], key) for key in secret["data"]} <= wanted
    else:
        (container,) = workers["spec"]["template"]["spec"]["containers"]
        ports = {str(port["containerPort"]) for port in container["ports"]}
        assert words[2] == f"deployment/{workers['metadata']['name']}", block
        assert words[words.index("--namespace") + 1] == workers["metadata"]["namespace"]
        match words[1]:
            case "scale":
                assert words[words.index("--replicas") + 1].isdigit()
            case "exec":
                assert words[words.index("--") + 1] == container["command"][0]
            case "port-forward":
                assert words[-1] in ports
            case verb:
                assert verb == "logs", f"{block}: nobody looks at kubectl {verb}"
        understood_by_kubectl(words[1], [word for word in words[3:] if word.startswith("--") and word != "--"])


@pytest.mark.parametrize(("block", "words"), parameters("helm"))
def test_what_helm_is_told_it_can_do(block: Block, words: list[str], helm4: Helm, tmp_path: Path) -> None:
    words = [word for word in words if word != "--install"]
    verb, release = words[1:3]
    namespace = words[words.index("--namespace") + 1]
    found = rendered(helm4, block.page, release, namespace, tmp_path)
    if verb in {"install", "upgrade"}:
        assert (ROOT / words[3]).resolve() == CHART.resolve()
        assert words[words.index("--values") + 1] == "worker.yaml"
        options = [word for word in words[4:] if word not in {"--values", "worker.yaml", "--wait"}]
        least = tmp_path / "worker.yaml"
        assert helm4("install", release, str(CHART), *options, "--values", str(least), "--dry-run=client")
    else:
        assert verb == "test"
        hooks = [each for each in found if "helm.sh/hook" in each["metadata"].get("annotations", {})]
        assert [each["metadata"]["annotations"]["helm.sh/hook"] for each in hooks] == ["test"]
        assert "--logs" in helm4("test", "--help")


def test_commands_for_kubernetes_in_prose_name_what_there_is(helm4: Helm, tmp_path: Path) -> None:
    found = rendered(helm4, "docs/kubernetes.md", "worker", "shop", tmp_path)
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:deployment|statefulset)/([a-z-]+)", textwrap.dedent(page.read_text("utf-8")))
    }

    assert named == {one(found, "Deployment")["metadata"]["name"]} == {WORKERS}
