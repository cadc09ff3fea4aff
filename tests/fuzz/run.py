"""Runs inputs through read and encode, and measures what each of them costs."""

import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.formats.events import PLAIN
from tests.formats.judged import check
from tests.formats.test_hostile import CONFIGS
from tests.fuzz.inputs import make
from tests.fuzz.large import LARGE
from worker.core.event import Event, Invalid
from worker.formats import ReadConfig, encode, read

#: What an input may cost (s of CPU time): this much in any case, and this much for each byte. Reading is on the thread
#: that reads the topic. Encoding reads again, and writes a parameter of a hundred bytes for a number of two.
ANY, READ_BYTE, ENCODE_BYTE = 0.5, 4e-6, 12e-6
#: Memory beside the record itself, as a multiple of its size.
MOST_MEMORY = 600.0
#: Larger ones are measured only: to look at each of a million parameters takes longer than to write them.
CHECKED = 500_000


@dataclass
class Figures:
    """`slowest`: seconds, input's number, bytes."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int, int] = (0.0, 0, 0)
    largest: int = 0
    bytes: int = 0
    cpu: float = 0.0

    @property
    def inputs(self) -> int:
        return self.outcomes.total()


@dataclass(frozen=True)
class Large:
    name: str
    outcome: str
    bytes: int
    seconds: float
    memory: int


def config_of(number: int) -> ReadConfig:
    """The configuration that an input is read by: each in turn."""
    return CONFIGS[number % len(CONFIGS)]


def judge(record: bytes, config: ReadConfig) -> tuple[str, float]:
    """What became of it, and the seconds (CPU) that it took. AssertionError if it was too slow, or worse."""
    started = time.thread_time()
    outcome = read(record, config)
    reading = time.thread_time() - started
    if isinstance(outcome, Event):
        encode(record, config, "k")
    seconds = time.thread_time() - started
    assert reading <= ANY + READ_BYTE * len(record), f"reading took {reading:.2f} s for {len(record)} bytes"
    assert seconds <= ANY + ENCODE_BYTE * len(record), f"{seconds:.2f} s for {len(record)} bytes"
    if len(record) <= CHECKED:
        check(record, config)
    if isinstance(outcome, Invalid):
        return outcome.reason, seconds
    if isinstance(outcome, Event):
        return "repaired" if outcome.repairs else "as it should be", seconds
    return "skipped", seconds


def fuzz(seed: int, numbers: Iterable[int], figures: Figures) -> None:
    """Adds to the figures. An exception names the input that it came from."""
    for number in numbers:
        record = make(seed, number)
        try:
            said, seconds = judge(record, config_of(number))
        except BaseException as error:
            error.add_note(f"replay: python -m tests.fuzz --seed {seed} --number {number}")
            raise
        figures.outcomes[said] += 1
        figures.slowest = max(figures.slowest, (seconds, number, len(record)))
        figures.largest = max(figures.largest, len(record))
        figures.bytes += len(record)
        figures.cpu += seconds


def large(name: str) -> Large:
    """In a process of its own, whose memory no other record has used."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_large, (name,))


def _large(name: str) -> Large:
    record = LARGE[name]()
    # Building the record may have taken more memory than it has now: that is not for the measured code to use.
    before = _forget_peak()
    said, seconds = judge(record, PLAIN)
    memory = _peak() - before
    assert memory <= MOST_MEMORY * len(record), f"{memory / 1e6:.0f} MB for {len(record) / 1e6:.0f} MB"
    return Large(name, said, len(record), seconds, memory)


def _forget_peak() -> int:
    """Resets the peak of this process's memory (Linux); returns what is in use."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - not a file
        file.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status") as file:  # noqa: PTH123 - not a file
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def own_peak() -> int:
    """The peak of this process's memory (bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
