"""What records are noticed for though they are read: repairs, keys that are not the entity's; and each one at debug."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from worker.core.event import Event, Invalid, Skipped
from worker.core.state import Partition
from worker.formats import ReadConfig
from worker.ports import Record

log = structlog.get_logger(__name__)
_level = logging.getLogger(__name__)


class Noticed(NamedTuple):
    """Of one batch: how often each repair was made, and how many records had no key or another than their entity."""

    repairs: Counter[str]
    key_mismatches: int


@dataclass(slots=True)
class Notices:
    """Warns of keys once for each topic: the keys are the producer's, and one line says all."""

    _warned: set[str] = field(default_factory=set)
    _warned_of_two: set[str] = field(default_factory=set)

    def of(
        self,
        partition: Partition,
        records: Sequence[Record],
        read: Sequence[Event | Skipped | Invalid],
        config: ReadConfig,
    ) -> Noticed | None:
        """What is noticed of a batch, if anything is. `read` is what the records mean."""
        repairs: list[str] = []
        mismatches = 0
        prefix = len(config.id_prefix)
        for at, one in enumerate(read):
            if isinstance(one, Invalid):
                continue
            if one.repairs:
                repairs += one.repairs
            entity = one.entity
            if entity is not None and records[at].key != f"{entity[0]}:{entity[1][prefix:]}".encode():
                mismatches += 1
                self._warn(partition, records[at])
        return Noticed(Counter(repairs), mismatches) if repairs or mismatches else None

    def in_two_partitions(self, topics: Iterable[str]) -> None:
        """Entities of these topics had pending events of two partitions. Warns once for each."""
        for topic in set(topics) - self._warned_of_two:
            self._warned_of_two.add(topic)
            log.warning(
                "events of one cart or order are in two partitions",
                topic=topic,
                consequence="they have no common order: an older state may be sent last",
                remedy="let the producers set the key to the entity, cart:<id> or order:<id>, with one partitioner;"
                " give topics with the same ids a prefix each (WORKER_ID_PREFIXES)",
            )

    def _warn(self, partition: Partition, record: Record) -> None:
        if partition.topic in self._warned:
            return
        self._warned.add(partition.topic)
        log.warning(
            "a record has no key" if not record.key else "a record's key is not its entity",
            topic=partition.topic,
            partition=partition.partition,
            offset=record.offset,
            consequence="states of one cart may be in several partitions, which have no common order",
            remedy="let the producer use the entity as the key: cart:<id> or order:<id>",
        )


def debug(
    partition: Partition,
    records: Sequence[Record],
    read: Sequence[Event | Skipped | Invalid],
    kept: Collection[int],
) -> None:
    """At debug, one line for each record of a batch. `kept`: the places of those that no newer one has replaced."""
    if not _level.isEnabledFor(logging.DEBUG):
        return
    taken = frozenset(kept)
    for at, one in enumerate(read):
        if isinstance(one, Invalid):
            continue  # it has a warning of its own
        where = {"topic": partition.topic, "partition": partition.partition, "offset": records[at].offset}
        if isinstance(one, Skipped):
            log.debug("event skipped", reason=one.reason, entity=one.kind, **where)
        elif at in taken:
            log.debug("event read; it collapses the entity's pending event", entity=one.entity.kind, **where)
        else:
            log.debug("event collapsed: a newer one came with the same poll", entity=one.entity.kind, **where)
