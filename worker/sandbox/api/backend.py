"""The API's side without its HTTP: keys, visits, faults, and the ledger. Used on the event loop only."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from worker.sandbox.api.check import Kind, Verdict, check
from worker.sandbox.api.faults import Rule
from worker.sandbox.api.form import PhpArray, parse_form
from worker.sandbox.api.ledger import Exchange, Ledger
from worker.sandbox.api.schedule import Schedule
from worker.sandbox.api.views import SandboxState, SeenRequest, StoredRecord

_Item = TypeVar("_Item")
_View = TypeVar("_View")
# Converting this many takes a few milliseconds, in which no request is answered.
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Options:
    """`keys`: the valid ones, None: any that is not empty. `ledger_size`: how many requests are kept, the newest.

    `counting_only`: requests are counted, not kept, for benchmarks. `max_fields`: PHP's `max_input_vars`, None: no
    limit. `max_body_bytes`: PHP's `post_max_size`; a longer body is answered with HTTP 413.
    """

    keys: frozenset[str] | None = None
    unknown_visits: frozenset[str] = frozenset()
    ledger_size: int = 1_000_000
    counting_only: bool = False
    max_fields: int | None = None
    max_body_bytes: int = 8 * 1024 * 1024


class Backend:
    """What requests are checked against, and what they leave behind."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self.clock = clock
        self.keys = options.keys
        self.unknown_visits = options.unknown_visits
        self.schedule = Schedule([], clock)
        self.elsewhere = 0
        size = 0 if options.counting_only else options.ledger_size
        self.ledger = Ledger(clock, time.time, size, options.max_fields)

    def read(self, exchange: Exchange, body: bytes, *, is_form: bool) -> Verdict:
        """Take in the body. Anything but a form has no fields, as in PHP."""
        fields = parse_form(body, self.options.max_fields) if is_form else PhpArray()
        entity_id = fields.get("id")
        exchange.id = entity_id if isinstance(entity_id, str) and entity_id else None
        exchange.body = body if is_form else b""
        return check(exchange.kind, fields, self.keys, self.unknown_visits)

    def set_faults(self, rules: Iterable[Rule]) -> None:
        self.schedule = Schedule(rules, self.clock)

    def reset(self) -> None:
        """Forget requests, records and counts; keys, visits and faults stay."""
        self.ledger.clear()
        self.elsewhere = 0

    def state(self) -> SandboxState:
        ledger = self.ledger
        return SandboxState(
            requests=ledger.requests,
            outcomes=dict(ledger.outcomes),
            in_flight=ledger.in_flight,
            max_in_flight=ledger.max_in_flight,
            applied=ledger.applied,
            applied_late=ledger.applied_late,
            landing=ledger.landing,
            records=ledger.records,
            ledger_size=ledger.size,
            ledger_dropped=ledger.dropped,
            elsewhere=self.elsewhere,
            faults=self.schedule.states(),
        )

    def requests(
        self, after: int = 0, kind: Kind | None = None, entity_id: str | None = None, limit: int | None = None
    ) -> AsyncIterator[list[SeenRequest]]:
        """The kept requests with a sequence number above `after`, in order of arrival, by chunks."""
        return _chunks(self.ledger.entries(after, kind, entity_id, limit), self.ledger.seen)

    def records(self, kind: Kind | None = None, entity_id: str | None = None) -> AsyncIterator[list[StoredRecord]]:
        """The records as they were when this was called, the one that was updated last first, by chunks."""
        return _chunks(list(self.ledger.newest_records(kind, entity_id)), self.ledger.stored)


async def _chunks(items: Sequence[_Item], view: Callable[[_Item], _View]) -> AsyncIterator[list[_View]]:
    for start in range(0, len(items), _CHUNK):
        yield [view(item) for item in items[start : start + _CHUNK]]
        await asyncio.sleep(0)
