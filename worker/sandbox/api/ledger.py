"""Every request and what came of it, and the records that result. Used on the event loop only."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from worker.sandbox.api.check import Kind
from worker.sandbox.api.form import parse_form, plain
from worker.sandbox.api.views import SeenRequest, StoredRecord

IN_FLIGHT = "in_flight"


@dataclass(slots=True, eq=False)
class Exchange:
    """A request and what came of it so far. Keeps the body, not a tree of its fields: a million of them must fit."""

    seq: int
    kind: Kind
    arrived: float
    epoch: int
    id: str | None = None
    body: bytes = field(default=b"", repr=False)
    outcome: str = IN_FLIGHT
    status: int | None = None
    fault: str | None = None
    finished: float | None = None
    client_gone: bool = False
    applied: float | None = None
    late: bool = False


@dataclass(slots=True, eq=False)
class _Record:
    created: float
    updated: float
    exchange: Exchange
    versions: int = 1


class Ledger:
    """`size`: how many requests are kept, the newest; 0 keeps none and only counts. Records are kept in any case."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], size: int, max_fields: int | None
    ) -> None:
        self._clock = clock
        self._wall_offset = wall() - clock()
        self._max_fields = max_fields
        self._entries: deque[Exchange] = deque(maxlen=size)
        self._last_seq = 0
        self._epoch = 0
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Forget requests, records and counts. What is in flight belongs to before: it changes nothing any more."""
        self._epoch += 1
        self._entries.clear()
        self._records: dict[tuple[Kind, str], _Record] = {}
        self.outcomes: Counter[str] = Counter()
        self.requests = self.applied = self.applied_late = self.landing = 0
        self.max_in_flight = self.in_flight

    @property
    def records(self) -> int:
        return len(self._records)

    @property
    def size(self) -> int:
        return len(self._entries)

    @property
    def dropped(self) -> int:
        return self.requests - len(self._entries)

    def arrive(self, kind: Kind) -> Exchange:
        self._last_seq += 1
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        exchange = Exchange(self._last_seq, kind, self._clock(), self._epoch)
        self._entries.append(exchange)
        return exchange

    def finish(self, exchange: Exchange, outcome: str, status: int | None, *, client_gone: bool = False) -> None:
        """The exchange is over. Only the first word counts: a client may leave while its answer is on the way."""
        if exchange.finished is not None:
            return
        exchange.outcome, exchange.status, exchange.client_gone = outcome, status, client_gone
        exchange.finished = self._clock()
        self.in_flight -= 1
        if exchange.epoch == self._epoch:
            self.outcomes[outcome] += 1

    def expect(self, exchange: Exchange) -> None:
        """`land` will be called for it."""
        if exchange.epoch == self._epoch:
            self.landing += 1

    def land(self, exchange: Exchange) -> None:
        """What was expected takes effect."""
        if exchange.epoch == self._epoch:
            self.landing -= 1
            self.apply(exchange)

    def abandon(self) -> None:
        """Nothing that is still expected will land: the server has stopped."""
        self.landing = 0

    def apply(self, exchange: Exchange) -> None:
        """Insert or update the record; the newest update comes last."""
        if exchange.epoch != self._epoch or exchange.id is None:
            return
        now = exchange.applied = self._clock()
        self.applied += 1
        if exchange.finished is not None:
            exchange.late = True
            self.applied_late += 1
        key = (exchange.kind, exchange.id)
        record = self._records.pop(key, None)
        if record is None:
            record = _Record(now, now, exchange)
        else:
            record.updated, record.exchange = now, exchange
            record.versions += 1
        self._records[key] = record

    def entries(self, after: int, kind: Kind | None, entity_id: str | None, limit: int | None) -> list[Exchange]:
        """The kept requests with a greater sequence number, in order of arrival."""
        first = self._entries[0].seq if self._entries else 0
        later = islice(self._entries, max(0, after + 1 - first), None)
        chosen = (e for e in later if kind in {None, e.kind} and entity_id in {None, e.id})
        return list(islice(chosen, limit))

    def newest_records(self, kind: Kind | None, entity_id: str | None) -> Iterator[_Record]:
        """The records, the one that was updated last first. Valid until the next request."""
        for (its_kind, its_id), record in reversed(self._records.items()):
            if kind in {None, its_kind} and entity_id in {None, its_id}:
                yield record

    def seen(self, exchange: Exchange) -> SeenRequest:
        return SeenRequest(
            seq=exchange.seq,
            kind=exchange.kind,
            id=exchange.id,
            params=self._params(exchange),
            arrived_at=exchange.arrived + self._wall_offset,
            finished_at=self._wall(exchange.finished),
            outcome=exchange.outcome,
            status=exchange.status,
            fault=exchange.fault,
            client_gone=exchange.client_gone,
            applied_at=self._wall(exchange.applied),
            applied_late=exchange.late,
        )

    def stored(self, record: _Record) -> StoredRecord:
        exchange = record.exchange
        return StoredRecord(
            kind=exchange.kind,
            id=exchange.id or "",
            params=self._params(exchange),
            versions=record.versions,
            seq=exchange.seq,
            created_at=record.created + self._wall_offset,
            updated_at=record.updated + self._wall_offset,
        )

    def _params(self, exchange: Exchange) -> dict[str, object]:
        fields = parse_form(exchange.body, self._max_fields)
        return {str(name): plain(value) for name, value in fields.items() if name != "key"}

    def _wall(self, moment: float | None) -> float | None:
        return None if moment is None else moment + self._wall_offset
