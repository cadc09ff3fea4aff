"""The stage of the integration tests, and the command as its users run it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from click.testing import CliRunner, Result
from kafka import TopicPartition
from kafka.protocol.consumer import JoinGroupRequest, SyncGroupRequest
from kafka.structs import OffsetAndMetadata

from tests.brokers.tools import PATIENCE, ask, wait_until
from tests.integration.conftest import Stage, api, stage
from tests.integration.process import KEY
from worker.commands.replay import replay as replay_command

__all__ = ["Replay", "api", "commit", "moves", "replay", "stage", "summary"]

_OURS = ("KAFKA_", "OPTICO_", "WORKER_")


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return inherited | {"OPTICO_API_KEY": KEY} | dict(settings)


def replay(s: Stage, *arguments: str, **settings: str) -> Result:
    """`optico-worker replay` until it has ended, in this process."""
    absent: dict[str, str | None] = {name: None for name in os.environ if name.startswith(_OURS)}
    return CliRunner().invoke(replay_command, arguments, env=absent | _environment(s.settings(**settings)))


def commit(s: Stage, offsets: Mapping[int, int]) -> None:
    """As if the group had been there."""
    wanted = {TopicPartition(s.topic, n): OffsetAndMetadata(at, "", -1) for n, at in offsets.items()}

    def done() -> bool:
        answer = ask(s.bootstrap, lambda admin: admin.alter_group_offsets(s.group, wanted))
        return not any(error.errno for error in answer.values())

    wait_until(done, "a coordinator that takes offsets", 30)


def join_as_connect(s: Stage, group: str) -> None:
    """A member as those of Kafka Connect are; what it says of itself is no consumer's."""
    said = b"\x00\x01\x00\x14http://connect:8083/\x00\x00\x00\x00\x00\x00\x00\x05"

    def join(admin: Any) -> None:
        async def exchange() -> None:
            node = (await admin._find_coordinator_ids([group]))[group]
            joined = await admin._manager.send(
                JoinGroupRequest(
                    group_id=group,
                    session_timeout_ms=30_000,
                    rebalance_timeout_ms=30_000,
                    member_id="",
                    protocol_type="connect",
                    protocols=[("compatible", said)],
                    max_version=3,
                ),
                node_id=node,
            )
            synced = await admin._manager.send(
                SyncGroupRequest(
                    group_id=group,
                    generation_id=joined.generation_id,
                    member_id=joined.member_id,
                    assignments=[(joined.member_id, said)],
                    max_version=3,
                ),
                node_id=node,
            )
            assert synced.error_code == 0

        admin._manager.run(exchange)

    ask(s.bootstrap, join)


def moves(s: Stage, *arguments: str, code: int = 0, **settings: str) -> dict[int, dict[str, Any]]:
    """What a reset says that it does, by partition."""
    ended = replay(s, *arguments, "--json", **settings)
    assert ended.exit_code == code, ended.output
    return {move["partition"]: move for move in json.loads(ended.stdout)["partitions"]}


def summary(s: Stage, *arguments: str, code: int = 0, **settings: str) -> dict[str, Any]:
    """What a replay alongside says that it did."""
    ended = replay(s, "--alongside", *arguments, "--json", **settings)
    assert ended.exit_code == code, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


class Replay:
    """Context manager: a replay alongside that runs, and is killed if it has not ended when it is left."""

    def __init__(self, s: Stage, *arguments: str, **settings: str) -> None:
        self._command = [sys.executable, "-m", "worker", "replay", "--alongside", "--json", *arguments]
        self._environment = _environment(s.settings(**settings))
        self._files = [tempfile.NamedTemporaryFile(prefix="replay-") for _ in range(2)]  # noqa: SIM115

    def __enter__(self) -> Self:
        out, err = self._files
        self._process = subprocess.Popen(self._command, env=self._environment, stdout=out, stderr=err)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(60)
        if error is not None:
            error.add_note("the replay said:\n" + self.said()[-6000:])
        for file in self._files:
            file.close()

    def said(self) -> str:
        """Its standard error."""
        return Path(self._files[1].name).read_text()

    def interrupt(self) -> None:
        self.signal(signal.SIGINT)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self, timeout: float) -> int:
        """Waits for its end; the exit code."""
        return self._process.wait(timeout)

    def running(self) -> bool:
        return self._process.poll() is None

    def summary(self, code: int = 0, timeout: float = 60) -> dict[str, Any]:
        """Waits for its end."""
        assert self._process.wait(PATIENCE * timeout) == code, self.said()
        found: dict[str, Any] = json.loads(Path(self._files[0].name).read_text())
        return found

    def wait_said(self, text: str, timeout: float = 30) -> None:
        wait_until(lambda: text in self.said(), f"{text!r} to be said", timeout)
