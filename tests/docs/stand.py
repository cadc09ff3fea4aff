"""Where the commands of a page are run: bash, the program, Kafka's own tools, a real Kafka, and a stand-in for the API.

A page's addresses, dates and paths are put in place of the stand's before a command is run, and back again in what it
says.
"""

import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.error import URLError
from urllib.request import urlopen

from tests.brokers.distribution import install
from tests.brokers.tools import wait_until
from worker.sandbox.api import Sandbox

KEY = "sk_fake_0123456789abcdef"
WIDTH = 160
_OURS = ("KAFKA_", "OPTICO_", "WORKER_")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: Commands that run until they are told to end; they are started, and the page goes on.
_LASTING = re.compile(r"(?:\w+=\S+ +)*optico-worker (?:run|sandbox)\b")
_TOOLS = "org.apache.kafka.tools"
_KAFKA = {
    "kafka-topics.sh": f"{_TOOLS}.TopicCommand",
    "kafka-console-producer.sh": f"{_TOOLS}.ConsoleProducer",
    "kafka-console-consumer.sh": f"{_TOOLS}.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": f"{_TOOLS}.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records.sh": f"{_TOOLS}.DeleteRecordsCommand",
}
#: `docker exec CONTAINER /opt/kafka/bin/TOOL`, and nothing else.
_DOCKER = """#!/usr/bin/env bash
[ "$1" = exec ] || { echo "only docker exec is known here, not: $*" >&2; exit 1; }
shift; [ "$1" != --interactive ] || shift; shift
exec "$(basename "$1")" "${@:2}"
"""


@dataclass(frozen=True)
class Said:
    """What came back, in the page's words. On a terminal `out` is what it showed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass
class Stand:
    """Context manager: `folder` is where commands run; variables that a block exports are there for the next one."""

    bootstrap: str
    folder: Path
    api: Sandbox = field(default_factory=lambda: Sandbox(keys={KEY}))
    lasting: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bin, self._home = self.folder / "bin", self.folder / "home"
        self.http_port, self.sandbox_port = _free_ports()
        self.key_file = (
            self.folder / "k"
        )  # with its folder as long as the page's word for it, so that tables stay straight
        self._variables = self.folder / "variables"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.api)
            stack.callback(self._end)
            self._home.mkdir()
            self._make_programs()
            self.key_file.write_text(KEY + "\n")
            self._variables.touch()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note("what ran beside it said:\n" + self.said_by_lasting()[-4000:])
        self._stack.close()

    @property
    def replaced(self) -> Sequence[tuple[str, str]]:
        """The page's words and the stand's, in this order. The first of each kind is the one that is put back."""
        api = self.api.url.removeprefix("http://")
        return (
            ("10.20.0.15:9092", self.bootstrap),
            ("kafka-1:9092,kafka-2:9092", self.bootstrap),
            ("kafka-1:9092", self.bootstrap),
            ("localhost:9092", self.bootstrap),
            ("127.0.0.1:18080", api),
            ("https://www.optico.fr", self.api.url),
            ("127.0.0.1:8080", f"127.0.0.1:{self.sandbox_port}"),
            ("--port 8080", f"--port {self.sandbox_port}"),
            ("localhost:9464", f"127.0.0.1:{self.http_port}"),
            ("/run/secrets/optico-api-key", str(self.key_file)),
            ("2026-11-21", "2024-11-21"),  # a broker refuses records of the future
        )

    def export(self, **variables: str) -> None:
        with self._variables.open("a") as file:
            file.writelines(f"export {name}='{value}'\n" for name, value in variables.items())

    def ready(self) -> None:
        """Until the worker that a page has started is in its group."""
        self._answers(f"http://127.0.0.1:{self.http_port}/readyz")

    def type_in(self, script: str) -> Said:
        """A block of commands in bash, which stops at the first that fails. What runs on is started, and waited for."""
        *first, last = script.rstrip().splitlines()
        if not _LASTING.match(last):
            return self._bash(script)
        said = self._bash("\n".join(first)) if first else Said(0, "", "")
        if said.code == 0:
            self._start(last)
        return said

    def on_a_terminal(self, command: str) -> Said:
        """One command, its standard output on a terminal."""
        ours, theirs = pty.openpty()
        with tempfile.TemporaryFile() as errors, open(theirs, "wb", buffering=0) as terminal:  # noqa: PTH123
            process = self._popen(command, stdout=terminal, stderr=errors)
            terminal.close()
            out = _read_all(ours)
            code = process.wait(120)
            errors.seek(0)
            return Said(code, self._in_the_pages_words(out), self._in_the_pages_words(errors.read()))

    def stop_lasting(self) -> list[int]:
        """SIGTERM to what runs on, newest first; the exit codes."""
        for process in reversed(self.lasting):
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        codes = [process.returncode for process in self.lasting]
        self.lasting.clear()
        return codes

    def said_by_lasting(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("lasting-*")))

    def _bash(self, script: str) -> Said:
        process = self._popen(
            f"{script}\nexport -p > {self._variables}", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = process.communicate(timeout=120)
        return Said(process.returncode, self._in_the_pages_words(out), self._in_the_pages_words(err))

    def _popen(self, script: str, stdout: int | IO[bytes], stderr: int | IO[bytes]) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return subprocess.Popen(
            ["bash", "-c", f"set -euo pipefail\nsource {self._variables}\n{self._in_our_words(script)}"],
            cwd=self.folder,
            env=inherited
            | {
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "HOME": str(self._home),
                "COLUMNS": str(WIDTH),
                "LINES": "50",
                "TERM": "xterm",
            },
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )

    def _start(self, command: str) -> None:
        with (self.folder / f"lasting-{len(self.lasting)}").open("wb") as log:
            pages = f"WORKER_HTTP_HOST=127.0.0.1 WORKER_HTTP_PORT={self.http_port}"
            self.lasting.append(self._popen(f"exec env {pages} {command}", stdout=log, stderr=log))
        if " sandbox" in command:
            self._answers(f"http://127.0.0.1:{self.sandbox_port}/_sandbox/state")
        else:
            self.ready()

    def _answers(self, url: str) -> None:
        def asked() -> bool:
            assert all(process.poll() is None for process in self.lasting), self.said_by_lasting()
            try:
                with urlopen(url, timeout=30) as answer:  # noqa: S310
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        wait_until(asked, f"{url} to answer", 40)

    def _end(self) -> None:
        for process in self.lasting:
            if process.poll() is None:
                process.kill()
            process.wait(60)

    def _in_our_words(self, text: str) -> str:
        for theirs, ours in self.replaced:
            text = text.replace(theirs, ours)
        return text

    def _in_the_pages_words(self, said: bytes) -> str:
        text = _ESCAPES.sub("", said.decode()).replace("\r\n", "\n")
        put_back: dict[str, str] = {}
        for theirs, ours in self.replaced:
            put_back.setdefault(ours, theirs)
        for ours, theirs in put_back.items():
            text = text.replace(ours, theirs)
        return text

    def _make_programs(self) -> None:
        self._bin.mkdir()
        distribution = install()
        path = f"{distribution.jars}/*"
        java = f'exec {distribution.java} -Xmx128m -XX:TieredStopAtLevel=1 -Dlog4j2.level=OFF -cp "{path}"'
        root = Path(__file__).parents[2]
        programs = {name: f'#!/bin/sh\n{java} {main} "$@"\n' for name, main in _KAFKA.items()}
        programs["optico-worker"] = f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m worker "$@"\n'
        programs["python"] = f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} "$@"\n'
        programs["docker"] = _DOCKER
        for name, text in programs.items():
            (self._bin / name).write_text(text)
            (self._bin / name).chmod(stat.S_IRWXU)


def _read_all(terminal: int) -> bytes:
    chunks = b""
    try:
        while chunk := os.read(terminal, 65_536):
            chunks += chunk
    except OSError:  # Linux: nobody holds the other side any more
        pass
    finally:
        os.close(terminal)
    return chunks


def _free_ports() -> tuple[int, int]:
    """Two that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
