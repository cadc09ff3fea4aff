"""A replay beside the worker, from its options to its summary."""

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, TextIO, cast

from worker.adapters import logs
from worker.adapters.allocator import give_large_blocks_back
from worker.adapters.kafka.admin import open_admin
from worker.adapters.kafka.replay import PartitionReader
from worker.core.event import Entity
from worker.core.state import Partition
from worker.ops.replay.alongside import LiveReplay, Report
from worker.ops.replay.dispatch import Dispatch
from worker.ops.replay.log import Selection
from worker.ops.replay.offset_range import OffsetRange, spans
from worker.ops.replay.progress import Progress
from worker.ops.replay.reading import Feed, Reading, Stopped
from worker.ops.replay.summary import show
from worker.ops.replay.targets import Place
from worker.ops.replay.tracker import Room
from worker.ops.terminal import CommandError, note
from worker.settings import Settings

#: Entities without an answer at a time, beside one second's worth: so many are finished when the user stops it.
_ROOM_WITHOUT_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """What is replayed. `stop` None: up to the end as it is at the start. `per_second` 0: no limit."""

    start: Place
    stop: Place | None
    selection: Selection
    ids: frozenset[Entity]
    per_second: float


class Stop:
    """What a signal asks for. The second one interrupts whatever blocks, by KeyboardInterrupt."""

    asked = False

    def __call__(self, _: int, __: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        note("stopping: nothing new is sent, what was sent is still checked; once more (Ctrl-C) ends it at once")


def alongside(settings: Settings, order: Order, *, as_json: bool) -> bool:
    """Replays, and prints a summary. True: everything of the range is at the API.

    Blocks until it is done, or stopped by SIGINT, SIGTERM or SIGHUP. Raises UsageError, CommandError, UnavailableError,
    FatalError.
    """
    prepare(settings)
    with open_admin(settings.kafka) as admin:
        range_ = spans(admin, settings.kafka, order.start, order.stop, order.selection)
    for partition, span in range_.items():
        if span.remark:
            note(f"{partition.topic}:{partition.partition}: {span.remark}")
    started = time.monotonic()
    report = _replay(settings, order, range_)
    options = [f"--id {shlex.quote(str(entity))}" for entity in sorted(order.ids)]
    options.append(f"--max-requests-per-second {order.per_second:g}")
    seconds, mask = time.monotonic() - started, logs.Mask(settings.secrets)
    show(report, range_, seconds, options=options, mask=mask, as_json=as_json)
    return report.complete


def _replay(settings: Settings, order: Order, range_: Mapping[Partition, OffsetRange]) -> Report:
    stop = Stop()
    starts = {partition: span.start for partition, span in range_.items()}
    total = sum(map(len, range_.values()))
    with (
        signals(stop),
        closing(PartitionReader(settings.kafka, starts)) as reader,
        closing(PartitionReader(settings.kafka, starts)) as again,
        Progress() as progress,
    ):
        reading = Reading(reader, settings.reading(), lambda: stop.asked, lambda done: progress.reading(done, total))
        try:
            scan = reading.scan(range_, order.ids)
        except (Stopped, KeyboardInterrupt):
            raise CommandError("stopped while the range was read; nothing was sent") from None
        feed = Feed(Reading(again, settings.reading(), reading.stopped, reading.show), starts)
        stops = {partition: span.stop for partition, span in range_.items()}
        start = partial(LiveReplay, scan, reading, feed, progress=progress, stops=stops)
        return deliver(settings, order.per_second, start).report()


def prepare(settings: Settings) -> None:
    """For a command that sends: what it warns of goes to standard error."""
    give_large_blocks_back()
    logs.configure(settings.worker.log_level, "console", stream=cast("TextIO", _Stderr()), secrets=settings.secrets)


def deliver(settings: Settings, per_second: float, start: Callable[..., LiveReplay]) -> LiveReplay:
    """Runs what `start` makes of a dispatch and room, until it is done; a second signal ends it at once.

    Raises CommandError, FatalError.
    """
    with _dispatch(settings, per_second) as dispatch:
        entities = 2 * settings.optico.max_concurrency + int(per_second or _ROOM_WITHOUT_LIMIT)
        replay = start(dispatch=dispatch, room=Room(entities, settings.worker.max_pending_bytes))
        try:
            replay.run()
        except KeyboardInterrupt:
            dispatch.patience = 0.0
        except BaseException:
            note(f"ends early: {len(replay.tracker.open)} entities were sent and not checked; run it again")
            raise
        return replay


def _dispatch(settings: Settings, per_second: float) -> Dispatch:
    try:
        return Dispatch(settings, per_second)
    except (OSError, ValueError) as error:
        raise CommandError(f"the HTTP client can't be set up: {error}") from error


@contextmanager
def signals(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM ask to stop, and a terminal that is closed, unless the user has seen to that (nohup)."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Stderr:
    """Standard error as it is at the moment: while a bar is drawn, lines go above it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)
