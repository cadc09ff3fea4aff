"""What commands ask the brokers, and the offsets that they set: kafka-python's admin client behind `Admin`."""

import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeVar, cast

import backoff
from kafka import KafkaAdminClient
from kafka.admin import ACLOperation, OffsetSpec, _acls
from kafka.errors import KafkaError, NoError, UnknownTopicOrPartitionError, for_code
from kafka.protocol.admin import DescribeGroupsRequest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment
from kafka.structs import OffsetAndMetadata, TopicPartition

from worker.adapters.kafka.connection import connect, mapped
from worker.core.state import Partition
from worker.ports import FatalError, UnavailableError
from worker.settings import Kafka

T = TypeVar("T")

#: Types of groups that a worker can be in.
CONSUMERS = ("", "consumer")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
#: What the library raises over an answer that it does not understand.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, struct.error)


class UnreadableError(FatalError):
    """A broker answered what the library can't read. Some that speak Kafka's protocol do."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker, as it advertises itself."""

    id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """`version`: the release that its protocol matches, such as `4.1`; a broker does not tell its own."""

    id: str | None
    version: str
    brokers: tuple[Broker, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """`problem`: in words, why it can't be used; None: it can. `operations`: what this user may do; None: not told."""

    name: str
    partitions: tuple[Partition, ...]
    leaderless: tuple[Partition, ...] = ()
    operations: frozenset[str] | None = None
    problem: str | None = None
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A live member of a group. Its partitions are known only while the group is stable."""

    id: str
    client_id: str
    host: str
    instance_id: str | None
    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True)
class GroupState:
    """`state` is the broker's word: Stable, Empty, PreparingRebalance, CompletingRebalance or Dead (never heard of).

    `type` is what its members are, such as `consumer` or `connect`; empty: there were none yet. `assignor`: by which
    they share partitions, empty while that is not settled.
    """

    state: str
    members: tuple[Member, ...]
    operations: frozenset[str] | None = None
    type: str = ""
    assignor: str = ""


class CommittedOffset(NamedTuple):
    """A committed offset with its metadata, of which brokers keep 4096 bytes by default."""

    offset: int
    metadata: str


class Admin(Protocol):
    """What commands need of the brokers. Every method blocks for `timeout` seconds at most (see `open_admin`).

    Each raises UnavailableError (no answer, or a passing state that did not pass), FatalError (refused) or its kind
    UnreadableError.
    """

    def cluster(self) -> Cluster: ...

    def topics(self, names: Collection[str]) -> dict[str, Topic]:
        """Each of the names, those that don't exist included."""

    def group(self, name: str) -> GroupState: ...

    def committed(self, group: str) -> dict[Partition, int]:
        """The group's committed offsets; without the partitions that have none."""

    def committed_with_metadata(self, group: str) -> dict[Partition, CommittedOffset]:
        """As `committed`, with the metadata."""

    def begins(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The offset of the oldest record that is kept."""

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The offset behind the last record that a worker can read: open transactions are not passed."""

    def high_watermarks(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The offset behind the last record that all replicas have, whether or not its transaction is open."""

    def offsets_at(self, partitions: Collection[Partition], timestamp: int) -> dict[Partition, int | None]:
        """The first offset whose record is of that time (UNIX milliseconds) or later; None: there is none yet."""

    def oldest(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The time (UNIX milliseconds) of the first record that is kept, without partitions that hold none."""

    def commit(self, group: str, offsets: Mapping[Partition, int | CommittedOffset]) -> None:
        """Sets offsets of a group without live members. Raises FatalError if any of them was refused."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def open_admin(settings: Kafka, *, timeout: float = 10.0) -> Admin:
    """Connects, within `timeout` seconds, which bounds each later question too.

    Raises UnavailableError if no broker answers, FatalError if they refuse us. To be closed: it is a context manager.
    """
    return KafkaAdmin(settings, timeout)


class KafkaAdmin:
    """See `Admin`."""

    def __init__(self, settings: Kafka, timeout: float) -> None:
        self._timeout = timeout
        self._client = connect(
            _admin_client,
            settings,
            bootstrap_timeout_ms=int(timeout * 1000),
            request_timeout_ms=int(timeout * 1000),
        )

    def cluster(self) -> Cluster:
        found = self._ask("describing the cluster", lambda client: client.describe_cluster())
        brokers = sorted((Broker(b["broker_id"], b["host"], b["port"]) for b in found["brokers"]), key=lambda b: b.id)
        version = ".".join(map(str, self._client._manager.broker_version))
        return Cluster(found["cluster_id"], version, tuple(brokers))

    def topics(self, names: Collection[str]) -> dict[str, Topic]:
        wanted = list(dict.fromkeys(names))
        if not wanted:  # the library would ask for all of them
            return {}
        last: list[Mapping[str, Any]] = []

        def describe(client: Any) -> None:
            last[:] = client.describe_topics(wanted)
            passing = [error for error in map(_error, last) if error.retriable and not _missing(error)]
            if passing:
                raise passing[0]

        try:
            self._ask("describing topics", describe)
        except UnavailableError:
            if not last:  # nobody answered; otherwise each topic has its own problem
                raise
        return {topic["name"]: _topic(topic) for topic in last}

    def group(self, name: str) -> GroupState:
        found = self._ask(f"describing group {name}", lambda client: client.describe_groups([name])[name])
        members = sorted(map(_member, found["members"]), key=lambda member: (member.client_id, member.id))
        assignor = found["protocol_data"] if found["protocol_type"] in CONSUMERS else ""
        return GroupState(found["group_state"], tuple(members), _operations(found), found["protocol_type"], assignor)

    def committed(self, group: str) -> dict[Partition, int]:
        return {partition: found.offset for partition, found in self.committed_with_metadata(group).items()}

    def committed_with_metadata(self, group: str) -> dict[Partition, CommittedOffset]:
        found = self._ask(
            f"reading the offsets of group {group}", lambda client: client.list_group_offsets({group: None})[group]
        )
        return {
            Partition(*at): CommittedOffset(offset.offset, offset.metadata or "")
            for at, offset in sorted(found.items())
            if offset.offset >= 0
        }

    def begins(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        return self._offsets("reading log starts", partitions, OffsetSpec.EARLIEST)

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        return self._offsets("reading log ends", partitions, OffsetSpec.LATEST)

    def high_watermarks(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        return self._offsets("reading log ends", partitions, OffsetSpec.LATEST, "read_uncommitted")

    def offsets_at(self, partitions: Collection[Partition], timestamp: int) -> dict[Partition, int | None]:
        found = self._offsets("looking up offsets by time", partitions, timestamp)
        return {partition: None if offset < 0 else offset for partition, offset in found.items()}

    def oldest(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        found = self._list_offsets("looking up the oldest records", partitions, 0, "read_committed")
        return {partition: at.timestamp for partition, at in found.items() if at.timestamp >= 0}

    def commit(self, group: str, offsets: Mapping[Partition, int | CommittedOffset]) -> None:
        offsets_of = {
            at: CommittedOffset(offset, "") if isinstance(offset, int) else offset for at, offset in offsets.items()
        }
        wanted = {TopicPartition(*at): OffsetAndMetadata(*offset, -1) for at, offset in offsets_of.items()}

        def alter(client: Any) -> None:
            for error in client.alter_group_offsets(group, wanted).values():
                if error.errno:
                    raise error(f"group {group}")

        self._ask(f"setting the offsets of group {group}", alter)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _offsets(
        self, doing: str, partitions: Collection[Partition], spec: Any, isolation: str = "read_committed"
    ) -> dict[Partition, int]:
        found = self._list_offsets(doing, partitions, spec, isolation)
        return {partition: at.offset for partition, at in found.items()}

    def _list_offsets(
        self, doing: str, partitions: Collection[Partition], spec: Any, isolation: str
    ) -> dict[Partition, Any]:
        if not partitions:
            return {}
        wanted = {TopicPartition(*partition): spec for partition in partitions}
        found = self._ask(
            doing,
            lambda client: client.list_partition_offsets(
                wanted, isolation_level=isolation, timeout_ms=self._timeout * 1000
            ),
        )
        return {Partition(*at): found[at] for at in sorted(found)}

    def _ask(self, doing: str, question: Callable[[Any], T]) -> T:
        """Again while the answer is a passing one: a new cluster has no coordinator until it was asked for one."""
        deadline = time.monotonic() + self._timeout
        for pause in _pauses():
            try:
                with mapped(doing):
                    return question(self._client)
            except _UNREADABLE as error:
                why = f"{type(error).__name__}: {error}"
                raise UnreadableError(f"{doing}: the brokers' answer can't be read ({why})") from error
            except UnavailableError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
            time.sleep(min(pause, left))
        raise AssertionError("the pauses never end")


def _pauses() -> Iterator[float]:
    """0.1, 0.2, 0.4 … 1 s. The library's own loop goes by the wall clock."""
    pauses = backoff.expo(factor=_FIRST_PAUSE, max_value=_LONGEST_PAUSE)
    next(pauses)  # its first value is for that loop
    return pauses


def _known_operations(numbers: Collection[int]) -> set[ACLOperation]:
    """In the place of the library's, which fails over a right that it does not know. The first three are no rights."""
    return {ACLOperation(number) for number in numbers if number > _NO_RIGHTS and number in _OPERATIONS}


_NO_RIGHTS, _OPERATIONS = 2, frozenset(map(int, ACLOperation))
_acls.valid_acl_operations = _known_operations


class _Client(KafkaAdminClient):  # type: ignore[misc]
    def _describe_groups_request(self, group_ids: Collection[str]) -> Any:
        # From version 6 on (KIP-1043) a group that nobody was in yet is an error, and its rights are not told.
        return DescribeGroupsRequest(groups=list(group_ids), include_authorized_operations=True, max_version=5)

    def _describe_groups_process_response(self, response: Any) -> Any:
        """The library makes text of an error, which says no more whether to ask again.

        And it takes what members say of themselves for a consumer's words, and fails where it is none.
        """
        for group in response.groups:
            if group.error_code:
                raise for_code(group.error_code)
            for member in group.members:
                member.member_metadata = b""  # nobody asks for it
                if not (group.protocol_type in CONSUMERS and _is_assignment(member.member_assignment)):
                    member.member_assignment = b""
        return super()._describe_groups_process_response(response)


def _is_assignment(said: bytes) -> bool:
    try:
        ConsumerProtocolAssignment.decode(said)
    except (struct.error, ValueError):
        return False
    return True


def _admin_client(*, metrics_enabled: bool, **config: Any) -> Any:  # noqa: ARG001 - the one client without that option
    return _Client(**config)


def _topic(found: Mapping[str, Any]) -> Topic:
    name, error = found["name"], _error(found)
    if error is not NoError:
        missing = _missing(error)
        return Topic(name, (), problem="does not exist" if missing else error.__name__, exists=not missing)
    numbers = sorted(partition["partition_index"] for partition in found["partitions"])
    leaderless = sorted(p["partition_index"] for p in found["partitions"] if p["leader_id"] < 0)
    return Topic(
        name,
        tuple(Partition(name, number) for number in numbers),
        tuple(Partition(name, number) for number in leaderless),
        _operations(found),
    )


def _error(found: Mapping[str, Any]) -> type[KafkaError]:
    return cast(type[KafkaError], for_code(found["error_code"]))


def _missing(error: type[KafkaError]) -> bool:
    """The library calls it passing: for a producer it may be."""
    return error is UnknownTopicOrPartitionError


def _operations(found: Mapping[str, Any]) -> frozenset[str] | None:
    """The brokers' words, such as READ. Brokers older than 2.3 tell none."""
    operations = found.get("authorized_operations")
    return None if operations is None else frozenset(operations)


def _member(found: Mapping[str, Any]) -> Member:
    assignment = found["member_assignment"] or {}
    given = assignment.get("assigned_partitions", ()) if isinstance(assignment, dict) else ()
    partitions = sorted(Partition(topic["topic"], number) for topic in given for number in topic["partitions"])
    return Member(
        found["member_id"], found["client_id"], found["client_host"], found.get("group_instance_id"), tuple(partitions)
    )
