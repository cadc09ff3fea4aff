import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from worker import __version__

MODULE = (sys.executable, "-m", "worker")
SCRIPT = (str(Path(sys.executable).with_name("optico-worker")),)
FAKE_KEY = "fake-key-0123456789abcdef"
COMMANDS = ("run", "check", "render", "replay", "dlq", "schema", "sandbox", "demo")
DLQ = (("dlq", "list"), ("dlq", "show"), ("dlq", "redrive"))
DEADLINE = 180


def optico_worker(
    *arguments: str, program: tuple[str, ...] = MODULE, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it in an environment with nothing of ours but `environ`."""
    return subprocess.run(
        [*program, *arguments], env=clean(environ), capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def clean(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    ours = ("KAFKA_", "OPTICO_", "WORKER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | dict(environ or {})


@pytest.mark.parametrize("program", [MODULE, SCRIPT], ids=["python -m worker", "optico-worker"])
def test_both_ways_to_start_it_are_the_same_program(program: tuple[str, ...]) -> None:
    assert optico_worker("--version", program=program).stdout == f"optico-worker, version {__version__}\n"
    assert optico_worker("--help", program=program).stdout.startswith("Usage: optico-worker [OPTIONS] COMMAND")


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS), *DLQ], ids=" ".join)
def test_help_is_everywhere_and_has_an_example(arguments: tuple[str, ...]) -> None:
    result = optico_worker(*arguments, "--help")

    assert (result.returncode, result.stderr) == (0, "")
    assert "Example" in result.stdout
    assert f"optico-worker {' '.join(arguments)}" in result.stdout.split("Example")[1]


def test_the_general_help_lists_every_command() -> None:
    listed = optico_worker("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]

    assert sorted(COMMANDS) == [
        line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "
    ]


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("run", "--nonsense"), ("sandbox", "--port", "65536"), ("demo", "--events", "0"), ("schema", "x")],
    ids=" ".join,
)
def test_bad_usage_exits_with_2_and_points_to_the_help(arguments: tuple[str, ...]) -> None:
    result = optico_worker(*arguments)

    assert (result.returncode, result.stdout) == (2, "")
    assert "--help" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_without_any_configuration_names_the_three_required_variables_at_once() -> None:
    result = optico_worker("run")

    assert (result.returncode, result.stdout) == (2, "")
    first, *lines, last = result.stderr.splitlines()
    assert first == "optico-worker: 3 problems in the configuration:"
    assert [line.split(":")[0] for line in lines] == ["  KAFKA_BOOTSTRAP_SERVERS", "  KAFKA_TOPICS", "  OPTICO_API_KEY"]
    assert last.endswith("docs/configuration.md")


def test_three_problems_of_different_kinds_are_named_without_a_secret(tmp_path: Path) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "KAFKA_TOPICS_FILE": str(tmp_path / "topics"),
        "KAFKA_SESSION_TIMEOUT_MS": "10",
        "OPTICO_API_KEY": f"{FAKE_KEY}\n{FAKE_KEY}",
    }

    result = optico_worker("run", environ=environ)

    assert (result.returncode, result.stdout) == (2, "")
    first, *lines, _ = result.stderr.splitlines()
    assert first == "optico-worker: 3 problems in the configuration:"
    assert [line.split(":")[0].strip() for line in lines] == [
        "KAFKA_TOPICS",
        "KAFKA_SESSION_TIMEOUT_MS",
        "OPTICO_API_KEY",
    ]
    assert str(tmp_path / "topics") in result.stderr
    assert FAKE_KEY not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["run", "check", "dlq list", "replay --to-earliest"])
def test_a_broker_without_a_port_is_named_by_every_command_before_it_connects(command: str) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2",
        "KAFKA_TOPICS": "carts",
        "KAFKA_DLQ_TOPIC": "letters",
        "OPTICO_API_KEY": FAKE_KEY,
    }

    result = optico_worker(*command.split(), environ=environ)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[1] == (
        "  KAFKA_BOOTSTRAP_SERVERS: entry 2 has no port; set host:port, such as kafka:9092"
    )


def test_a_single_problem_is_counted_as_one() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "KAFKA_TOPICS": "carts", "OPTICO_API_KEY": ""}

    result = optico_worker("run", environ=environ)

    assert result.stderr.startswith("optico-worker: 1 problem in the configuration:\n")


def test_a_run_warns_in_its_log_and_ends_with_1_where_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "KAFKA_TOPICS": "carts",
            "OPTICO_API_KEY": FAKE_KEY,
            "OPTICO_API_KEYS": FAKE_KEY,
            "WORKER_HTTP_HOST": "127.0.0.1",
            "WORKER_HTTP_PORT": str(taken.getsockname()[1]),
        }
        result = optico_worker("run", environ=environ)

    warning, *others = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.returncode == 1
    assert warning["level"] == "warning"
    assert warning["detail"].startswith("OPTICO_API_KEYS: unknown")
    assert others[-1]["level"] == "critical"
    assert FAKE_KEY not in result.stderr


def test_the_schema_is_json_on_standard_output() -> None:
    result = optico_worker("schema")

    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_says_where_it_listens_and_ends_with_0_when_told(stop: signal.Signals) -> None:
    command = [*MODULE, "sandbox", "--port", "0", "--key", FAKE_KEY]
    with subprocess.Popen(command, env=clean(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = process.stdout.readline()
        process.send_signal(stop)
        _, errors = process.communicate(timeout=DEADLINE)

    assert "http://127.0.0.1:" in announced
    assert (process.returncode, errors) == (0, "")


def test_a_sandbox_whose_port_is_taken_fails_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = optico_worker("sandbox", "--port", str(taken.getsockname()[1]))

    assert result.returncode == 1
    assert result.stderr.startswith("optico-worker: can't listen on 127.0.0.1:")
    assert "Traceback" not in result.stderr


def test_a_sandbox_without_its_packages_fails_with_the_way_to_install_them(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'aiohttp' else found(name, *rest)\n"
    )

    result = optico_worker("sandbox", environ={"PYTHONPATH": str(tmp_path)})

    assert result.returncode == 1
    assert result.stderr == (
        "optico-worker: missing: aiohttp; install them with: pip install 'optico-worker[sandbox]'\n"
    )


def test_help_and_usage_load_no_library_but_the_parser_of_the_command_line() -> None:
    code = "import sys, worker.cli; print(*sorted(name.split('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "click" in loaded
    assert {"pydantic", "kafka", "structlog", "orjson", "prometheus_client", "aiohttp", "rich"} & set(loaded) == set()
