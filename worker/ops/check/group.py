"""The consumer group: who is in it, and how far behind it is."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.adapters.kafka.admin import CONSUMERS, Admin, GroupState
from worker.core.state import Partition
from worker.ops.check.finding import Finding, count, ok, red, warn
from worker.ops.check.rights import rights
from worker.ops.transactions import held_up
from worker.settings import Kafka

_NEEDS = frozenset({"READ"})


def check(admin: Admin, settings: Kafka, requests_per_second: float) -> Iterator[Finding]:
    """Members, rights, lag. Blocks, and raises, as `Admin` does. `requests_per_second`: the limit; 0: none."""
    name = settings.group_id
    group = admin.group(name)
    topics = admin.topics(settings.topics)
    partitions = [partition for topic in topics.values() for partition in topic.partitions]
    yield _members(name, group, len(partitions))
    if group.assignor not in ("", settings.assignor):
        yield _other_assignor(name, group, settings.assignor)
    yield rights("group", name, group.operations, _NEEDS)
    usable = [partition for topic in topics.values() if topic.problem is None for partition in topic.partitions]
    leaderless = {partition for topic in topics.values() for partition in topic.leaderless}
    readable = [partition for partition in usable if partition not in leaderless]
    yield from _lag(admin, settings, requests_per_second, readable)
    yield from _transactions(admin, readable)


def _other_assignor(name: str, group: GroupState, own: str) -> Finding:
    detail = f"its members share partitions by {group.assignor}, this worker by {own}"
    remedy = "KAFKA_ASSIGNOR must be the same for all members: correct it, or stop them first"
    return red("assignor", name, detail, remedy, theirs=group.assignor, ours=own)


def _members(name: str, group: GroupState, partitions: int) -> Finding:
    members = [
        {
            "client_id": m.client_id,
            "host": m.host,
            "instance_id": m.instance_id,
            "partitions": list(map(str, m.partitions)),
        }
        for m in group.members
    ]
    facts = {"state": group.state, "members": members}
    if group.type not in CONSUMERS:
        return red("group", name, f"of the type {group.type}, so no worker's", "correct KAFKA_GROUP_ID", **facts)
    many = count(len(members), "member")
    if group.state == "Dead":
        return ok("group", name, "not known yet: no worker has run", **facts)
    if group.state == "Empty":
        return ok("group", name, "no member: no worker is running", **facts)
    if group.state != "Stable":
        return warn("group", name, f"{group.state}, {many}", "wait a moment and check again", **facts)
    if len(members) > partitions > 0:
        detail = f"{many}, but only {count(partitions, 'partition')}"
        return warn("group", name, detail, "the workers beyond the partitions are idle: run fewer", **facts)
    return ok("group", name, f"{group.state}, {many}", **facts)


def _lag(admin: Admin, settings: Kafka, rate: float, partitions: list[Partition]) -> Iterator[Finding]:
    if not partitions:
        return
    name = settings.group_id
    committed, begins, ends = admin.committed(name), admin.begins(partitions), admin.high_watermarks(partitions)
    start = begins if settings.auto_offset_reset == "earliest" else ends
    lag = {str(at): max(0, ends[at] - max(committed.get(at, start[at]), begins[at])) for at in partitions}
    total = sum(lag.values())
    facts = {"lag": total, "partitions": lag, "committed": {str(at): committed.get(at) for at in partitions}}
    new = {at: lag[str(at)] for at in partitions if at not in committed and lag[str(at)]}
    lost = [at for at in partitions if at in committed and committed[at] < begins[at]]
    ahead = [at for at in partitions if committed.get(at, 0) > ends[at]]
    if ahead:
        detail = f"{_named(ahead)}: committed beyond the log's end; was the topic created anew?"
        yield red("lag", name, detail, f"the worker would start at {settings.auto_offset_reset}; see replay", **facts)
    elif lost:
        gone = sum(begins[at] - committed[at] for at in lost)
        detail = f"{_named(lost)}: up to {gone:,} records were deleted before they were read; {total:,} wait"
        yield warn("lag", name, detail, "the topic's retention is shorter than the worker was away", **facts)
    elif new and start is begins:
        yield _backfill(admin, name, rate, new, facts)
    elif not committed.keys() & set(partitions):
        yield ok(
            "lag", name, f"nothing committed yet; would start at {_start(settings)}, {count(total, 'record')}", **facts
        )
    else:
        yield ok("lag", name, f"{count(total, 'record')} not read and settled yet", **facts)


def _transactions(admin: Admin, partitions: list[Partition]) -> Iterator[Finding]:
    for partition, held in held_up(admin, partitions).items():
        remedy = "kafka-transactions.sh find-hanging names its producer; end it there, or abort it"
        yield warn("transactions", str(partition), str(held), remedy, offset=held.offset, records=held.records)


def _backfill(
    admin: Admin, group: str, rate: float, waiting: Mapping[Partition, int], facts: Mapping[str, Any]
) -> Finding:
    """The group would start with all that these partitions hold."""
    oldest = min(admin.oldest(waiting).values(), default=None)
    since = None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC).isoformat(timespec="seconds")
    records = sum(waiting.values())
    seconds = round(records / rate) if rate else None
    duration = "" if seconds is None else f", up to {timedelta(seconds=seconds)} at OPTICO_MAX_REQUESTS_PER_SECOND"
    detail = (
        f"nothing committed for {count(len(waiting), 'partition')}: the worker would send what they hold,"
        f" {count(records, 'record')} since {since or 'nobody knows when'}{duration}"
    )
    remedy = (
        "to skip them: `optico-worker replay --to-latest --execute` before the worker starts, or"
        " KAFKA_AUTO_OFFSET_RESET=latest for its first start"
    )
    backfill = {"records": records, "since": since, "seconds": seconds}
    return warn("lag", group, detail, remedy, **facts, backfill=backfill)


def _start(settings: Kafka) -> str:
    return f"{settings.auto_offset_reset} (KAFKA_AUTO_OFFSET_RESET)"


def _named(partitions: list[Partition], most: int = 5) -> str:
    words = ", ".join(map(str, partitions[:most]))
    return words if len(partitions) <= most else f"{words} and {len(partitions) - most} more"
