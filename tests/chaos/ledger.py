"""The ledger: what was written, what the API was sent and answered, what was committed; all of it outside the worker.

`collect` reads it from the brokers and the sandbox once all is at rest. `tests.chaos.checks` looks for contradictions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from kafka.errors import CorruptRecordError

from tests.brokers.tools import read_all
from tests.chaos.offsets import Commit, commits
from tests.chaos.process import ChaosWorker, Held
from tests.chaos.traffic import Written, understood
from worker.sandbox.api import Sandbox, SeenRequest

RecordPosition = tuple[str, int, int]
#: From a request's start in the worker to its arrival on a busy machine, at most (s).
ON_THE_WAY = 0.5
_ANSWERS = ("success", "unknown_visit_id")


@dataclass(frozen=True)
class Request:
    """One request as the API saw it. `worker`: whose key it had. Times in UNIX seconds."""

    worker: str
    entity: str
    version: int
    outcome: str
    arrived: float
    finished: float | None
    applied: float | None
    late: bool

    @property
    def success(self) -> bool:
        return self.outcome == "success"

    @property
    def answered(self) -> bool:
        """The API said yes or no to it, whether or not that was heard."""
        return self.outcome in _ANSWERS and self.finished is not None


@dataclass
class Ledger:
    """`removed`: records that were taken from the log before they had to be read. `resets`: moments (UNIX seconds)
    after which the group starts anew by somebody's order. `letters`: coordinates of the records that letters are
    about, with the time of the first one. `given_up`: how many requests a worker says that it got no answer to."""

    topic: str
    written: dict[RecordPosition, Written] = field(default_factory=dict)
    past: dict[int, Written] = field(default_factory=dict)
    removed: set[RecordPosition] = field(default_factory=set)
    resets: list[float] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    letters: dict[RecordPosition, float] = field(default_factory=dict)
    letters_written: int = 0
    log_since: float = 0.0
    held: dict[str, list[Held]] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    orderly: set[str] = field(default_factory=set)
    in_flight_at_most: int = 0
    given_up: dict[str, int] = field(default_factory=dict)

    # While things happen.

    def read_log(self, bootstrap: str) -> None:
        """Takes down what the topic holds now."""
        for record in read_all(bootstrap, self.topic):
            written = understood(self.topic, record)
            self.written[written.coordinates] = written

    def read_log_unless_damaged(self, bootstrap: str) -> None:
        """A damaged log can't be read; what it held was taken down before."""
        with suppress(CorruptRecordError):
            self.read_log(bootstrap)

    def begin_new_log(self, at: float) -> None:
        """The topic was deleted: what it held counts as history, its coordinates mean nothing any more."""
        self.past |= {written.version: written for written in self.written.values()}
        self.written.clear()
        self.resets.append(at)
        self.log_since = at

    # At the end.

    def collect(self, bootstrap: str, group: str, since: int, api: Sandbox, workers: Iterable[ChaosWorker]) -> None:
        self.read_log(bootstrap)
        self.commits = [commit for commit in commits(bootstrap, group, since) if commit.topic == self.topic]
        keys = _keys(api)
        self.requests = [_request(seen, keys[seen.seq]) for seen in api.requests()]
        self.records = {f"{record.kind}:{record.id}": _version(record.params) for record in api.records()}
        for worker in workers:
            self.held[worker.name] = worker.holdings()
            if not (worker.killed or worker.disturbed) and worker.ended == 0:
                self.orderly.add(worker.name)

    def collect_letters(self, bootstrap: str, topic: str) -> None:
        for letter in read_all(bootstrap, topic):
            said = {name: value.decode() for name, value in letter.headers}
            at = (letter.timestamp or 0) / 1000
            self.letters_written += 1
            if at < self.log_since:
                continue
            self.letters.setdefault((said["dlq.topic"], int(said["dlq.partition"]), int(said["dlq.offset"])), at)

    # What can be asked.

    def by_version(self) -> dict[int, Written]:
        return self.past | {written.version: written for written in self.written.values()}

    def newest(self, fate: str) -> dict[str, Written]:
        """The newest record of that fate of each entity, those that were removed aside.

        A cart that was emptied later has none: what waited of it then is not sent any more.
        """
        found: dict[str, Written] = {}
        emptied: dict[str, int] = {}
        for written in self.by_version().values():
            if written.fate == "emptied":
                emptied[written.entity] = max(written.version, emptied.get(written.entity, 0))
            if written.fate != fate or written.coordinates in self.removed:
                continue
            if written.entity not in found or found[written.entity].version < written.version:
                found[written.entity] = written
        return {entity: written for entity, written in found.items() if written.version > emptied.get(entity, 0)}

    def of_entity(self) -> dict[str, list[Request]]:
        found: dict[str, list[Request]] = defaultdict(list)
        for request in sorted(self.requests, key=lambda request: request.arrived):
            found[request.entity].append(request)
        return found

    def ownership(self, request: Request, partition: str) -> int:
        """Which of the worker's assignments of that partition the request was made under: 1, 2 …"""
        return sum(h.partition == partition and h.since <= request.arrived for h in self.held.get(request.worker, ()))

    def ambiguous(self, request: Request, partition: str) -> bool:
        """Whether it may have been made under the assignment before: the partition had just come back to its worker."""
        starts = [h.since for h in self.held.get(request.worker, ()) if h.partition == partition]
        return any(0 <= request.arrived - start <= ON_THE_WAY for start in sorted(starts)[1:])

    def unheard(self, worker: str) -> int:
        """Answers of the API that came too late for the worker, because the machine was too slow for its deadline."""
        seen = sum(request.worker == worker and not request.answered for request in self.requests)
        return max(0, self.given_up.get(worker, 0) - seen)

    def dirty(self, partition: str, before: float) -> bool:
        """Whether the last commit of the partition before that moment says that requests may be under way."""
        earlier = [c for c in self.commits if f"{c.topic}-{c.partition}" == partition and c.at <= before]
        return bool(earlier) and max(earlier, key=lambda commit: commit.at).dirty

    def took_over_unclear(self, request: Request, partition: str, within: float) -> bool:
        """Whether the request's assignment began so short before it, and with such a note."""
        starts = [h.since for h in self.held.get(request.worker, ()) if h.partition == partition]
        began = max((start for start in starts if start <= request.arrived), default=None)
        return began is not None and request.arrived < began + within and self.dirty(partition, began)

    def ownerships(self, partition: str) -> int:
        return sum(held.partition == partition for holdings in self.held.values() for held in holdings)

    def moved(self) -> bool:
        """Whether any partition had more than one owner."""
        partitions = [held.partition for holdings in self.held.values() for held in holdings]
        return len(partitions) > len(set(partitions))

    def duplicates(self) -> int:
        """Successful requests beyond the first for the same state."""
        times = Counter((r.entity, r.version) for r in self.requests if r.success)
        return sum(count - 1 for count in times.values())


def _keys(api: Sandbox) -> dict[int, str]:
    """The key of each request, which the sandbox shows to nobody else."""
    entries = api._backend.ledger.entries(0, None, None, None)
    return {entry.seq: parse_qs(entry.body.decode()).get("key", [""])[0] for entry in entries}


def _request(seen: SeenRequest, key: str) -> Request:
    return Request(
        key.removeprefix("sk_fake_"),
        f"{seen.kind}:{seen.id}",
        _version(seen.params),
        _outcome(seen),
        seen.arrived_at,
        seen.finished_at,
        seen.applied_at,
        seen.applied_late,
    )


def _outcome(seen: SeenRequest) -> str:
    """An answer that dripped, but came in whole, is the API's own."""
    if seen.outcome != "drip" or seen.client_gone:
        return seen.outcome
    return "success" if seen.applied else "unknown_visit_id"


def _version(params: dict[str, object]) -> int:
    products = params.get("products")
    # A request whose body did not arrive in whole has no version.
    try:
        return int(products[0]["quantity"])  # type: ignore[index]
    except (TypeError, KeyError, IndexError, ValueError):
        return -1
