"""Runs inputs through decode and encode, and measures what each of them costs."""

import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.formats.events import NO_DEFAULTS
from tests.formats.judged import check
from tests.fuzz.inputs import make
from tests.fuzz.large import LARGE
from worker.core.event import Defaults, Event, Invalid
from worker.formats import TooLargeError, decode, encode

DEFAULTS = Defaults(currency="EUR", order_status="Open")
#: What an input may cost (s of CPU time): this much in any case, and this much for each byte. Decoding is on the thread
#: that reads the topic. Encoding writes a parameter of a hundred bytes for a number of two, at the worst.
ANY, DECODE_BYTE, ENCODE_BYTE = 0.25, 0.5e-6, 8e-6
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


def judge(record: bytes, defaults: Defaults) -> tuple[str, float]:
    """What became of it, and the seconds (CPU) that it took. AssertionError if it was too slow, or worse."""
    started = time.thread_time()
    outcome = decode(record, defaults)
    decoded = time.thread_time() - started
    too_large = False
    if isinstance(outcome, Event):
        try:
            encode(record, defaults)
        except TooLargeError:
            too_large = True
    seconds = time.thread_time() - started
    assert decoded <= ANY + DECODE_BYTE * len(record), f"decoding took {decoded:.2f} s for {len(record)} bytes"
    assert seconds <= ANY + ENCODE_BYTE * len(record), f"{seconds:.2f} s for {len(record)} bytes"
    if too_large:
        return "payload_too_large", seconds
    if len(record) <= CHECKED:
        check(record, defaults)
    if isinstance(outcome, Invalid):
        return outcome.reason, seconds
    return "decoded" if isinstance(outcome, Event) else "skipped", seconds


def fuzz(seed: int, numbers: Iterable[int], figures: Figures) -> None:
    """Adds to the figures. An exception names the input that it came from."""
    for number in numbers:
        record = make(seed, number)
        try:
            said, seconds = judge(record, DEFAULTS if number % 2 else NO_DEFAULTS)
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
    said, seconds = judge(record, NO_DEFAULTS)
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
