"""Shell completion, as `docs/commands.md` says to set it up."""

import shutil
import subprocess

import pytest

from tests.cli.test_cli import COMMANDS, DEADLINE, SCRIPT, clean, optico_worker


def completed(line: str) -> list[str]:
    """What bash would offer at the end of the line."""
    environ = {
        "_OPTICO_WORKER_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    result = optico_worker(program=SCRIPT, environ=environ)
    assert (result.returncode, result.stderr) == (0, "")
    return [offer.removeprefix("plain,") for offer in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("optico-worker ", sorted(COMMANDS)),
        ("optico-worker re", ["render", "replay"]),
        ("optico-worker dlq ", ["list", "redrive", "show"]),
        ("optico-worker dlq list --entity ", ["cart", "order", "unknown"]),
        ("optico-worker replay --to-", ["--to-datetime", "--to-earliest", "--to-latest", "--to-offset", "--to"]),
        ("optico-worker nonsense ", []),
    ],
)
def test_commands_options_and_values_are_offered(line: str, offers: list[str]) -> None:
    assert set(offers) - {"--to"} <= set(completed(line))
    assert len(completed(line)) >= len(offers) - 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_names_the_program(shell: str) -> None:
    environ = {"_OPTICO_WORKER_COMPLETE": f"{shell}_source"}
    result = optico_worker(program=SCRIPT, environ=environ)

    assert (result.returncode, result.stderr) == (0, "")
    assert f"_OPTICO_WORKER_COMPLETE={shell}_complete" in result.stdout


def test_bash_takes_the_script_and_offers_what_fits() -> None:
    assert shutil.which("bash")
    line = (
        f'eval "$(_OPTICO_WORKER_COMPLETE=bash_source {SCRIPT[0]})"; '
        "complete -p optico-worker; "
        f"COMP_WORDS=(optico-worker dlq red); COMP_CWORD=2; {{ _optico_worker_completion {SCRIPT[0]}; }}; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    result = subprocess.run(
        ["bash", "-c", line], env=clean(), capture_output=True, text=True, timeout=DEADLINE, check=False
    )

    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "complete -o nosort -F _optico_worker_completion optico-worker",
        "redrive",
    ]
