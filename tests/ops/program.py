"""The program as its users run it: arguments, environment variables, standard streams, an exit code."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from click.testing import CliRunner

from worker.cli import cli

KEY = "sk_fake_0123456789abcdef"
DEADLINE = 180
NONE: Mapping[str, str] = MappingProxyType({})
_OURS = ("KAFKA_", "OPTICO_", "WORKER_")


@dataclass(frozen=True)
class Answer:
    """What a command did. The key was among its variables: it is in neither stream, which `optico` has asserted."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def rows(self) -> list[dict[str, str]]:
        """A plain table's rows, by the columns' names."""
        columns, *rows = (line.split("\t") for line in self.out.splitlines())
        return [dict(zip(columns, row, strict=True)) for row in rows]


def environment(variables: Mapping[str, str], **more: str) -> dict[str, str]:
    """The process's without anything of ours, the key, and these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return inherited | {"OPTICO_API_KEY": KEY} | dict(variables) | more


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "worker", *arguments]


def optico(*arguments: str, variables: Mapping[str, str] = NONE, stdin: bytes = b"") -> Answer:
    """Runs it to its end with these of our variables, and with the key."""
    done = subprocess.run(
        command(*arguments),
        env=environment(variables),
        input=stdin,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert KEY not in answer.out + answer.err
    assert "Traceback" not in answer.err
    return answer


def inside(*arguments: str, variables: Mapping[str, str] = NONE) -> Answer:
    """As `optico`, but in this process, which is many times quicker; for what a process of its own proves no better."""
    unset = dict.fromkeys(name for name in os.environ if name.startswith(_OURS))
    result = CliRunner().invoke(cli, arguments, env={**unset, "OPTICO_API_KEY": KEY, **variables})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert KEY not in result.stdout + result.stderr
    return Answer(result.exit_code, result.stdout, result.stderr)


def on_a_terminal(*arguments: str, variables: Mapping[str, str] = NONE) -> str:
    """Runs it to its end as a person does; returns what the terminal got."""
    ours, theirs = pty.openpty()
    with ExitStack() as stack:
        stack.callback(os.close, ours)
        with open(theirs, "wb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor, not a path
            process = subprocess.Popen(
                command(*arguments),
                env=environment(variables, TERM="xterm", COLUMNS="200", LINES="50"),
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
            )
            stack.callback(process.wait, DEADLINE)
        chunks = b""
        while chunk := _read(ours):
            chunks += chunk
    assert KEY.encode() not in chunks
    return chunks.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux: nobody holds the other side any more
        return b""
