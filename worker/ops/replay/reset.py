"""Replay by reset: the group's offsets are set back, and the worker reads on from there when it starts again."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from worker.adapters.kafka.admin import CONSUMERS, Admin, CommittedOffset, GroupState
from worker.core.state import Partition
from worker.ops.replay.log import Log, Selection, locate, logs, select
from worker.ops.replay.targets import Offsets, Shift, Target
from worker.ops.terminal import CommandError, emit, note, table
from worker.ops.transactions import HeldUp, held_up
from worker.ports import FatalError, UnavailableError
from worker.settings import Kafka

#: The broker's words for a group that nobody is in.
_WITHOUT_MEMBERS = ("Empty", "Dead")


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of one partition.

    `current`: what the group has committed, None: nothing. `start`: where the worker would go on without a reset.
    `target`: where it goes; None: it stays, and `remark` says why.
    """

    partition: Partition
    log: Log
    current: int | None
    start: int
    target: int | None
    remark: str

    @property
    def replays(self) -> int:
        """How many events are read again; fewer where the log has gaps (compaction, transactions)."""
        return 0 if self.target is None else max(0, self.start - self.target)

    @property
    def skips(self) -> int:
        """How many events are never read."""
        return 0 if self.target is None else max(0, self.target - self.start)

    def document(self) -> dict[str, Any]:
        topic, number = self.partition
        offsets = {"current": self.current, "target": self.target, **asdict(self.log)}
        return {"topic": topic, "partition": number} | offsets | self._figures()

    def _figures(self) -> dict[str, Any]:
        return {"replays": self.replays, "skips": self.skips, "remark": self.remark}


def reset(admin: Admin, settings: Kafka, target: Target, selection: Selection, *, execute: bool, as_json: bool) -> None:
    """Prints what a reset does, and with `execute` does it.

    Raises UsageError, CommandError (the group has live members; partitions were refused), UnavailableError, FatalError.
    """
    group = settings.group_id
    state = admin.group(group)
    if state.type not in CONSUMERS:
        raise CommandError(f"group {group} is of the type {state.type}, so no worker's; correct KAFKA_GROUP_ID")
    live = _live(group, state)
    if execute and live:
        raise CommandError(live)
    moves = plan(admin, settings, target, select(admin, settings.topics, selection))
    if execute:
        _execute(admin, group, moves)
    _print(group, moves, executed=execute, live=len(state.members), as_json=as_json)
    if execute:
        note(f"done: {_events(moves)}; start the worker, and it goes on from there")
    elif live:
        note(f"nothing was changed, and --execute would be refused now: {live}")
    else:
        note(f"nothing was changed; with --execute: {_events(moves)}")


def plan(admin: Admin, settings: Kafka, target: Target, partitions: Collection[Partition]) -> list[Move]:
    """What the reset does to each partition. Changes nothing."""
    of = logs(admin, partitions)
    if isinstance(target, Offsets):
        locate(admin, target, of)  # says what is not there
        of = {partition: of[partition] for partition in target.by_partition}
    committed = admin.committed(settings.group_id)
    places = {} if isinstance(target, Shift) else locate(admin, target, of)
    held = held_up(admin, of)
    stands = [
        _Stand(partition, log, committed.get(partition), settings.auto_offset_reset, held.get(partition))
        for partition, log in sorted(of.items())
    ]
    return [_move(stand, target, places.get(stand.partition)) for stand in stands]


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where the group stands. `otherwise`: where it starts without a usable offset, `earliest` or `latest`."""

    partition: Partition
    log: Log
    current: int | None
    otherwise: str
    held_up: HeldUp | None

    @property
    def known(self) -> bool:
        return self.current is not None and self.log.begin <= self.current <= self.log.end

    @property
    def start(self) -> int:
        if self.current is not None and self.known:
            return self.current
        return self.log.end if self.otherwise == "latest" else self.log.begin

    def remarks(self) -> list[str]:
        remarks = [] if self.held_up is None else [str(self.held_up)]
        if self.known:
            return remarks
        what = "has committed nothing" if self.current is None else "is at what the log does not hold"
        return [f"the group {what}: without a reset it starts with the {self.otherwise}", *remarks]


def _move(stand: _Stand, target: Target, place: int | None) -> Move:
    log, current = stand.log, stand.current
    remarks = stand.remarks()
    if isinstance(target, Shift):
        if current is None:
            return Move(stand.partition, log, current, stand.start, None, "nothing is committed: it can't be shifted")
        place = current + target.by
    if place is None:
        place = log.end
        remarks.append("no event is as new: the end")
    if log.clamp(place) != place:
        remarks.append(f"{place} lies {'before the begin' if place < log.begin else 'after the end'}: clamped")
    return Move(stand.partition, log, current, stand.start, log.clamp(place), "; ".join(remarks))


def _execute(admin: Admin, group: str, moves: Sequence[Move]) -> None:
    """Sets the offsets and reads them back: what counts is what the broker holds.

    Their metadata stays: requests of workers that have just ended may still be applied.
    """
    committed = admin.committed_with_metadata(group)
    wanted = {move.partition: move.target for move in moves if move.target is not None}
    if not wanted:
        raise CommandError("there is nothing to reset")
    refused = ""
    try:
        metadata = {partition: committed[partition].metadata if partition in committed else "" for partition in wanted}
        admin.commit(
            group, {partition: CommittedOffset(offset, metadata[partition]) for partition, offset in wanted.items()}
        )
    except (FatalError, UnavailableError) as error:
        refused = f" ({error})"
    held = admin.committed(group)
    missed = sorted(partition for partition, offset in wanted.items() if held.get(partition) != offset)
    if not missed:
        return
    live = _live(group, admin.group(group))
    named = ", ".join(f"{partition.topic}:{partition.partition}" for partition in missed)
    done = len(wanted) - len(missed)
    raise CommandError(f"{done} partitions were reset, these were not: {named}{refused}{live and '; ' + live}")


def _live(group: str, state: GroupState) -> str:
    """Why the group can't be reset now, with the way out; empty: it can."""
    if state.state in _WITHOUT_MEMBERS and not state.members:
        return ""
    members = ", ".join(sorted({f"{member.client_id} on {member.host.lstrip('/')}" for member in state.members}))
    count = _count(len(state.members), "live member")
    return (
        f"group {group} has {count} ({members or state.state}), whose commits would undo it;"
        " stop every worker of the group (SIGTERM, or scale it to 0 replicas) and repeat this;"
        " one that crashed or has a KAFKA_GROUP_INSTANCE_ID counts until its KAFKA_SESSION_TIMEOUT_MS has passed"
    )


def _events(moves: Sequence[Move]) -> str:
    replayed, skipped = sum(move.replays for move in moves), sum(move.skips for move in moves)
    return f"{_count(replayed, 'event')} read again" + (f", {skipped} skipped" if skipped else "")


def _count(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"


def _print(group: str, moves: Sequence[Move], *, executed: bool, live: int, as_json: bool) -> None:
    if as_json:
        total = {"replays": sum(move.replays for move in moves), "skips": sum(move.skips for move in moves)}
        partitions = [move.document() for move in moves]
        emit({"group": group, "executed": executed, "live_members": live, **total, "partitions": partitions})
        return
    goes = "goes to" if executed else "would go to"
    columns = ("topic", "partition", "group is at", goes, "read again", "skipped", "remark")
    rows = [
        (*move.partition, move.current, move.target, move.replays, move.skips, move.remark or None) for move in moves
    ]
    table(f"Group {group}", columns, rows)
