"""The newest records of each topic, read as the worker would: their keys, and what of them would not be sent."""

from collections import Counter
from collections.abc import Iterator

from worker.adapters.kafka.admin import Admin, open_admin
from worker.adapters.kafka.reader import Reader
from worker.core.event import Event, Invalid, Skipped
from worker.core.state import Partition
from worker.formats import read
from worker.ops.check.finding import Finding, count, ok, warn
from worker.ports import FatalError, Record, UnavailableError
from worker.settings import Settings

#: Records of a partition, and partitions of a topic, that are looked at.
_NEWEST, _PARTITIONS = 10, 5
_ANSWER_WITHIN = 5.0


def check(settings: Settings) -> Iterator[Finding]:
    """Two findings a topic. None where Kafka can't be asked: other checks say why. May block for some seconds."""
    try:
        with (
            open_admin(settings.kafka, timeout=_ANSWER_WITHIN) as admin,
            Reader(settings.kafka, timeout=_ANSWER_WITHIN) as reader,
        ):
            for topic in settings.kafka.topics:
                yield from _topic(settings, topic, [record for _, record in reader.read(_ranges(admin, topic))])
    except (UnavailableError, FatalError):
        return


def _ranges(admin: Admin, topic: str) -> dict[Partition, tuple[int, int]]:
    """The ends of the topic's first partitions that hold something."""
    found = admin.topics([topic])[topic]
    if found.problem is not None:
        return {}
    begins, ends = admin.begins(found.partitions), admin.ends(found.partitions)
    filled = [at for at in found.partitions if begins[at] < ends[at]][:_PARTITIONS]
    return {at: (max(begins[at], ends[at] - _NEWEST), ends[at]) for at in filled}


def _topic(settings: Settings, topic: str, records: list[Record]) -> Iterator[Finding]:
    if not records:
        return
    config = settings.reading().for_topic(topic)
    outcomes = [(record, read(record.value, config, record.timestamp)) for record in records]
    yield _keys(topic, outcomes, len(config.id_prefix))
    yield _events(topic, [outcome for _, outcome in outcomes])


def _keys(topic: str, outcomes: list[tuple[Record, Event | Skipped | Invalid]], prefix: int) -> Finding:
    named = [(record, one.entity) for record, one in outcomes if not isinstance(one, Invalid) and one.entity]
    wrong = [record for record, entity in named if record.key != f"{entity.kind}:{entity.id[prefix:]}".encode()]
    facts = {"records": len(named), "without_key": sum(not record.key for record in wrong), "mismatches": len(wrong)}
    if not wrong:
        return ok(
            "keys", topic, f"of the newest {count(len(named), 'event')} all have their entity as the key", **facts
        )
    return warn(
        "keys",
        topic,
        f"of the newest {count(len(named), 'event')} {len(wrong)} have no key, or another than their entity",
        "let the producer use cart:<id> or order:<id> as the key: else an older state may be sent last",
        **facts,
    )


def _events(topic: str, outcomes: list[Event | Skipped | Invalid]) -> Finding:
    invalid = [one for one in outcomes if isinstance(one, Invalid)]
    skipped = Counter(one.reason for one in outcomes if isinstance(one, Skipped))
    repairs = Counter(label for one in outcomes if not isinstance(one, Invalid) for label in one.repairs)
    facts = {"records": len(outcomes), "invalid": len(invalid), "skipped": dict(skipped), "repairs": dict(repairs)}
    parts = [f"{len(invalid)} invalid"] if invalid else []
    parts += [f"{number} skipped ({reason})" for reason, number in skipped.items()]
    parts += [f"{number} repaired ({label})" for label, number in repairs.items()]
    detail = f"of the newest {count(len(outcomes), 'record')} {', '.join(parts) or 'all can be sent as they are'}"
    if not invalid:
        return ok("events", topic, detail, **facts)
    remedy = f"the first: {invalid[0].message}; see `optico-worker render --topic {topic} --partition … --offset …`"
    return warn("events", topic, detail, remedy, **facts)
