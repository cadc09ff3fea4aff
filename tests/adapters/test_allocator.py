"""What was freed is given back, and would not be otherwise."""

import subprocess
import sys

LEFT_BEHIND = """
import sys
from tests.bench.machine import usage
import os
if sys.argv[1] == "given back":
    from worker.adapters.allocator import give_large_blocks_back
    give_large_blocks_back()
bytes(30_000_000)
before = usage(os.getpid()).resident
held = b"x" * 20_000_000
del held
print(usage(os.getpid()).resident - before)
"""


def left_behind(how: str) -> float:
    """In MB."""
    ran = subprocess.run([sys.executable, "-c", LEFT_BEHIND, how], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def test_a_large_block_that_is_freed_goes_back_to_the_system_at_once() -> None:
    assert left_behind("kept") > 15
    assert left_behind("given back") < 5
