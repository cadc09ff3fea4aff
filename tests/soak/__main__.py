"""Steady traffic with faults: python -m tests.soak [--minutes 30] [--report FOLDER]. SOAK_MINUTES is the default."""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from tests.bench import renew
from tests.soak.report import JSON, save, section
from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES") or 30))
    parser.add_argument("--seed", default="1")
    parser.add_argument("--report", type=Path, help="the folder of the report; docs/performance.md lies beside it")
    options = parser.parse_args()
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # our own clients see the faults as well
    started = time.monotonic()

    def say(line: str) -> None:
        passed = time.monotonic() - started
        sys.stdout.write(f"[{passed // 60:.0f}:{passed % 60:02.0f}] {line}\n")
        sys.stdout.flush()

    say(f"a soak of {options.minutes:g} minutes")
    result = soak(options.minutes, f"soak {options.seed}", say)
    if options.report is not None:
        save(options.report / JSON, result)
        renew.write(options.report)
    for line in section(result, "now"):
        sys.stdout.write(line + "\n")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
