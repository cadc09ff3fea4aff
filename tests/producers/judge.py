"""What is asked of every producer's records, read back from the topic."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.brokers.tools import Record, read_all
from tests.ops.program import inside

#: So many that two entities are unlikely to share one by chance.
PARTITIONS = 50


@dataclass(frozen=True)
class Written:
    """A producer's records, in the order in which each partition has them."""

    records: Sequence[Record]
    folder: Path

    @classmethod
    def to(cls, bootstrap: str, topic: str, folder: Path) -> "Written":
        return cls(read_all(bootstrap, topic), folder)

    @property
    def keys(self) -> list[str]:
        return [(record.key or b"").decode() for record in self.records]

    @property
    def values(self) -> list[Any]:
        return [json.loads(record.value or b"null") for record in self.records]

    @cached_property
    def rendered(self) -> list[Any]:
        """What `render --strict` says of each, in the same order. It may miss a visit, but complain of nothing else."""
        events = self.folder / "written.jsonl"
        events.write_bytes(b"".join((record.value or b"").replace(b"\n", b" ") + b"\n" for record in self.records))
        answer = inside("render", "--strict", "--json", str(events))
        complaints = [found for found in answer.json_lines if found["strict"] and found["reason"] != "no_visit"]
        assert complaints == [], answer.err
        return answer.json_lines

    def of(self, key: str) -> list[dict[str, str]]:
        """The parameters of what is sent of this entity, oldest first."""
        pairs = zip(self.keys, self.rendered, strict=True)
        return [dict(found["parameters"]) for named, found in pairs if named == key and found["outcome"] == "sent"]

    def outcomes(self, key: str) -> list[tuple[str, str | None]]:
        pairs = zip(self.keys, self.rendered, strict=True)
        return [(found["outcome"], found["reason"]) for named, found in pairs if named == key]

    def must_follow_the_rules(self) -> None:
        """Keyed by its entity, without a repair, and where every other producer of the topic puts it."""
        assert self.records
        for key, event, found in zip(self.keys, self.values, self.rendered, strict=True):
            assert key == f"{event['type']}:{event['id']}"
            assert found["outcome"] != "sent" or key == f"{found['entity']}:{found['id']}"
        for key, record in zip(self.keys, self.records, strict=True):
            assert record.partition == murmur2(key.encode()) % PARTITIONS, f"{key} is where no Java client puts it"


def murmur2(key: bytes) -> int:
    """Kafka's hash of a key, without its sign: org.apache.kafka.common.utils.Utils.murmur2."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ (k >> 24)) * m & mask)
    if tail := key[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return (h ^ (h >> 15)) & 0x7FFFFFFF
