"""Standard streams that are closed, full, or no longer read."""

import subprocess

import pytest

from tests.cli.test_cli import DEADLINE, MODULE, clean

EVENTS = b'{"type": "cart"}\n' * 20_000


def shell(line: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The line in bash, in which `optico-worker` is the program; the code is the program's, not its reader's."""
    script = f'optico-worker() {{ {" ".join(MODULE)} "$@"; }}; {line}; exit "${{PIPESTATUS[0]}}"'
    return subprocess.run(
        ["bash", "-c", script], env=clean(), input=stdin, capture_output=True, timeout=DEADLINE, check=False
    )


ANSWERS = ["schema", "--help", "--version", "replay --help", "render", "render --json"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_can_not_be_written_is_one_line_and_exit_code_1(answer: str) -> None:
    ended = shell(f"optico-worker {answer} > /dev/full", EVENTS)

    assert ended.returncode == 1
    assert ended.stderr == b"optico-worker: the answer can't be written: No space left on device\n"


@pytest.mark.parametrize("answer", ANSWERS)
def test_where_standard_output_is_closed_the_exit_code_is_as_ever(answer: str) -> None:
    closed, open_ = shell(f"optico-worker {answer} >&-", EVENTS), shell(f"optico-worker {answer} >/dev/null", EVENTS)

    assert (closed.returncode, closed.stderr) == (open_.returncode, open_.stderr)


@pytest.mark.parametrize("answer", ["schema", "render", "render --json"])
def test_a_reader_that_leaves_ends_the_program_in_silence(answer: str) -> None:
    ended = shell(f"optico-worker {answer} | head -n 1", EVENTS)

    assert ended.stderr == b""
    assert len(ended.stdout.splitlines()) == 1
    assert ended.returncode in (0, 1)


def test_a_reader_that_has_left_before_the_first_word_costs_no_traceback() -> None:
    ended = shell("(sleep 1; optico-worker schema) | true")

    assert ended.stderr == b""


@pytest.mark.parametrize("arguments", ["nonsense", "run", "run --nonsense"])
@pytest.mark.parametrize("redirection", ["2>&-", "<&-", "<&- >&- 2>&-"])
def test_without_a_place_for_complaints_the_exit_code_speaks(arguments: str, redirection: str) -> None:
    assert shell(f"optico-worker {arguments} {redirection}").returncode == 2


def test_nothing_that_is_opened_later_gets_what_is_written_to_a_closed_stream() -> None:
    """A socket or a file would take the descriptor's place."""
    code = (
        "import os, sys; from worker.commands.streams import standard_streams\n"
        "with standard_streams('optico-worker'):\n"
        "    opened = os.open(os.devnull, os.O_RDONLY)\n"
        "    sys.exit(0 if opened > 2 else 9)"
    )
    ended = subprocess.run(["bash", "-c", f'{MODULE[0]} -c "$0" <&- >&- 2>&-', code], check=False, timeout=DEADLINE)

    assert ended.returncode == 0


def test_a_stream_that_can_not_hold_a_character_gets_its_escape() -> None:
    event = '{"type": "cart", "id": "\u20ac", "currency": "EUR", "visit_id": "v", "is_logged_in": 0}\n'
    ended = shell("PYTHONIOENCODING=latin-1 optico-worker render", event.encode())

    assert b"Traceback" not in ended.stderr
    assert b"\\u20ac" in ended.stdout
