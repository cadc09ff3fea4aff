"""The intake: the one thread that owns the consumer. It polls, takes records in, commits; nothing slow in between."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from logging import INFO, WARNING
from sys import getsizeof

import structlog

from worker.core.batch import collapse
from worker.core.calls import CallShare
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Event, Invalid, Skipped
from worker.core.state import Partition
from worker.engine.backfill import Backfill
from worker.engine.commits import Commits
from worker.engine.notices import Notices, debug
from worker.engine.poll_status import PollStatus
from worker.engine.shared_queue import SharedQueue
from worker.engine.transactions import OpenTransactions
from worker.formats import ReadConfig
from worker.ports import Consumer, Content, LogEnd, Membership, Record, TooLarge, UnavailableError, Warn

log = structlog.get_logger(__name__)

Read = Callable[[bytes | None, ReadConfig, int], Event | Skipped | Invalid]
#: How long a poll waits for records (s): the pace of everything else that this thread does. A join that ends between
#: two polls can be lost by kafka-python 3.0.12; while one is under way there are as few gaps as the pace allows.
POLL_TIMEOUT = 0.2
JOINING_POLL_TIMEOUT = 0.8
#: Time between two looks at the group's size and the rate's share, and between two at the log ends (s).
TICK = 1.0
ENDS_INTERVAL = 10.0
#: A join that takes longer waits for another member (s): ours are quick.
JOIN_IS_SLOW_AFTER = 3.0
#: The reason for which single partitions are paused.
TOO_LARGE = "too_large"
#: What a header takes besides its name and value (bytes).
_PAIR = 80


@dataclass(slots=True)
class Intake:
    """`rejected` is called for each record that can't be sent. `max_requests_per_second`: the group's; 0: no limit."""

    queue: SharedQueue
    view: PollStatus
    commits: Commits
    read: Read
    config: ReadConfig
    max_requests_per_second: float
    rejected: Callable[[Partition, Record, Invalid], None]
    warn: Warn
    _backfill: Backfill = field(default_factory=Backfill)
    _transactions: OpenTransactions = field(default_factory=OpenTransactions)
    _next_tick: float = 0.0
    _next_ends: float = 0.0
    _owned: frozenset[Partition] = frozenset()
    _assignment: int = 0
    _held_up: bool = False
    _join_told: bool = False
    _notices: Notices = field(default_factory=Notices)
    #: Refused records of the batch at hand, which are not logged yet.
    _refused: list[tuple[Record, Invalid]] = field(default_factory=list)
    _call_share: CallShare = field(default_factory=CallShare)

    def __post_init__(self) -> None:
        self.config = replace(self.config, keeps_content=False)

    def turn(self, consumer: Consumer, *, draining: bool = False) -> None:
        """One round: poll, take in, commit, and now and then the rest. Raises FatalError.

        While draining, nothing is taken in: membership goes on, and settled offsets are committed.
        """
        self._pause(consumer, draining=draining)
        try:
            joining = self.view.membership is Membership.JOINING
            batches = consumer.poll(JOINING_POLL_TIMEOUT if joining else POLL_TIMEOUT)
        except UnavailableError as error:
            self.warn("polling failed; trying again", per="poll", error=str(error))
            time.sleep(POLL_TIMEOUT)
            batches = {}
        now = self.queue.clock()
        self.view.note_poll(now, time.time())
        self._renew(consumer.lease_until(), now)
        if self.view.note_membership(consumer.membership(), now):
            gone = self.view.joined_once and self.view.membership is Membership.DISCONNECTED
            log.log(WARNING if gone else INFO, "membership", state=self.view.membership)
        self._tell_slow_join(now)
        self._backfill.begin(consumer.without_offset(), now)
        if not draining:
            for partition, records in batches.items():
                self._take_in(Partition(*partition), records)
            self._advance(consumer)
        self.commits.tick(consumer, now)
        if now >= self._next_tick:
            self._next_tick = now + TICK
            self._tick(consumer, now)

    def _tell_slow_join(self, now: float) -> None:
        since = self.view.unstable_since
        slow = since is not None and now - since >= JOIN_IS_SLOW_AFTER
        if slow and not self._join_told:
            log.info(
                "joining takes long: the group waits for another member. One that was killed, and so has not left,"
                " counts until its KAFKA_SESSION_TIMEOUT_MS is over"
            )
        self._join_told = slow

    def _renew(self, lease_until: float, now: float) -> None:
        """Without a word from the group our partitions may be others' by now, who send what is newer."""
        with self.queue.locked() as deliveries:
            deliveries.lease_until = lease_until
            held_up = deliveries.pending if now >= lease_until else 0
        if held_up and not self._held_up:
            log.warning(
                "sending waits: the group has not been heard from for so long that others may own our partitions",
                pending=held_up,
            )
        elif self._held_up and now < lease_until:
            log.info("sending resumed: the group has been heard from")
        self._held_up = bool(held_up)

    def _take_in(self, partition: Partition, records: Sequence[Record]) -> None:
        """Decodes outside of the lock, and brings in what of it is not overtaken within the batch."""
        if self._backfill.waits:
            self._backfill.read(partition, records[0])
        read, config = self.read, self.config.for_topic(partition.topic)
        decoded = [read(record.value, config, record.timestamp) for record in records]
        noticed = self._notices.of(partition, records, decoded, config)
        kept, overtaken, events, calls = collapse(decoded)
        debug(partition, records, decoded, kept)
        self._tell_of_calls(self._call_share.add(events, calls))
        now, wall_now = self.queue.clock(), time.time()
        last = records[-1].timestamp
        self.view.note_event(partition.topic, last / 1000 if last > 0 else wall_now)
        with self.queue.locked() as deliveries:
            given_up = deliveries.advance(partition, records[0].offset, now)
            if noticed is not None:
                deliveries.counts.repaired.update(noticed.repairs)
                deliveries.counts.key_mismatches[partition.topic] += noticed.key_mismatches
            for kind, events in overtaken.items():
                deliveries.overtaken(partition, kind, events)
            for at in kept:
                record, one = records[at], decoded[at]
                if isinstance(one, Event):
                    deliveries.add(
                        partition,
                        record.offset,
                        one.entity,
                        Content.of(record),
                        size=_size(record),
                        occurred_at=_occurred_at(record, one, wall_now),
                        now=now,
                        age=wall_now - record.timestamp / 1000 if record.timestamp > 0 else 0.0,
                        call_id=one.call_id,
                        agent=one.agent,
                    )
                elif isinstance(one, Skipped):
                    deliveries.skip(partition, record.offset, one, now)
                else:
                    self._refuse(deliveries, partition, record, one, now)
            split = list(deliveries.counts.in_two_partitions) if deliveries.counts.in_two_partitions else ()
        self._tell_of_records(partition, split)
        if given_up is not None:
            _warn_of_another_log(partition, records[0].offset, given_up)

    def _tell_of_records(self, partition: Partition, split: Sequence[str]) -> None:
        """Not while the queue is held: who reads the log may be slow."""
        refused, self._refused = self._refused, []
        for record, invalid in refused:
            self.rejected(partition, record, invalid)
        if split:
            self._notices.in_two_partitions(split)

    def _tell_of_calls(self, share: float | None) -> None:
        if share is not None:
            log.warning(
                "most events are linked to a call, so putting calls first means nothing",
                share=round(share, 2),
                remedy="let the shop set call_id and agent only while the customer is on the phone",
            )

    def _refuse(
        self, deliveries: DeliveryQueue, partition: Partition, record: Record, invalid: Invalid, now: float
    ) -> None:
        taken = deliveries.refuse(
            partition,
            record.offset,
            Content.of(record),
            size=_size(record),
            kind=invalid.kind,
            entity_id=invalid.id,
            reason=invalid.reason,
            message=invalid.message,
            now=now,
        )
        if taken:
            self._refused.append((record, invalid))

    def _advance(self, consumer: Consumer) -> None:
        """Takes over the client's positions, which pass what is no record, and the ends that became known.

        A turn looks at the partitions that have changed only: there may be thousands.
        """
        ends, moved = consumer.ends(), consumer.moved()
        now = self.queue.clock()
        went_back = []
        with self.queue.locked() as deliveries:
            for partition in (*moved, *deliveries.without_position()):
                position = consumer.position(partition)
                if position is not None and (given_up := deliveries.advance(partition, position, now)) is not None:
                    went_back.append((partition, position, given_up))
            for partition, end in ends.items():
                deliveries.set_end(partition, end.last_stable, now)
            deliveries.blocked(self.view.too_large, now)
            deliveries.tick(now)
            owned = frozenset(deliveries.owned) if deliveries.assignment != self._assignment else self._owned
            self._assignment = deliveries.assignment
            unknown = deliveries.without_end()
            positions = {at: owner.position for at, owner in deliveries.owned.items()} if self._backfill.waits else {}
        for partition, position, given_up in went_back:
            _warn_of_another_log(partition, position, given_up)
        self._take_over(ends, owned, now)
        self._backfill.tell(self.view.ends, positions, self._share(len(owned)), now)
        if now >= self._next_ends:  # a partition without a leader has no end for long
            self._next_ends = now + (TICK if unknown else ENDS_INTERVAL)
            consumer.request_ends(owned)

    def _take_over(self, ends: dict[Partition, LogEnd], owned: frozenset[Partition], now: float) -> None:
        """Takes over a sample of log ends, and forgets those of partitions that are gone."""
        if owned is not self._owned:
            self._next_ends = now
        if ends or owned is not self._owned:
            known = self.view.ends | ends
            self.view.ends = {partition: end for partition, end in known.items() if partition in owned}
        self._transactions.sample(ends, owned, now)
        self.view.open_transactions = self._transactions.seconds()
        if len(owned) != len(self._owned):
            self._next_tick = now  # the share of the rate has changed with it
        self._owned = owned

    def _pause(self, consumer: Consumer, *, draining: bool) -> None:
        with self.queue.locked() as deliveries:
            bound = deliveries.full()
            failing = deliveries.letters.failing
        reasons = frozenset(filter(None, (bound, "dead_letter" if failing else None)))
        before = self.view.paused - {TOO_LARGE}
        if reasons and not before:
            log.warning("intake is paused until there is room again", reasons=sorted(reasons))
        elif before and not reasons:
            log.info("intake goes on")
        too_large = consumer.too_large()
        _report_too_large(self.view.too_large, too_large)
        self.view.too_large = too_large
        self.view.paused = reasons | {TOO_LARGE} if too_large else reasons
        consumer.pause(bool(reasons) or draining)

    def _tick(self, consumer: Consumer, now: float) -> None:
        view = self.view
        view.partitions = consumer.partitions()
        missing = tuple(consumer.missing_topics())
        if missing != view.missing_topics and view.joined_once:
            view.missing_topics = missing
            if missing:
                log.warning("these topics do not exist, or this user may not see them; waiting", topics=missing)
        with self.queue.locked() as deliveries:
            deliveries.rate.set(self._share(len(deliveries.owned)), now)

    def _share(self, owned: int) -> float | None:
        """The worker's part of the group's rate: that of the partitions that it holds."""
        if self.max_requests_per_second == 0:
            return None
        total = self.view.partitions
        return self.max_requests_per_second * min(1.0, owned / total) if total else 0.0


def _report_too_large(before: Mapping[Partition, TooLarge], now: Mapping[Partition, TooLarge]) -> None:
    for partition, batch in now.items():
        if before.get(partition) != batch:
            log.error(
                "a batch is too large to be read, and its partition is paused; all others continue",
                topic=partition.topic,
                partition=partition.partition,
                offset=batch.offset,
                next="to step over it, stop the workers and run: optico-worker replay"
                f" --to-offset {partition.topic}:{partition.partition}:{batch.next_offset} --execute",
            )
    for partition in before.keys() - now.keys():
        log.info("a partition is no longer paused by a batch that is too large", partition=str(partition))


def _warn_of_another_log(partition: Partition, position: int, given_up: int) -> None:
    log.warning(
        "the log went back: its topic was created anew, or its brokers have lost the log's end",
        partition=str(partition),
        position=position,
        released_events=given_up,
    )


def _occurred_at(record: Record, event: Event, wall_now: float) -> float:
    if event.occurred_at is not None:
        return event.occurred_at
    return record.timestamp / 1000 if record.timestamp > 0 else wall_now


def _size(record: Record) -> int:
    """Memory held while the event is pending (bytes). Headers count as Python objects: there may be many."""
    headers = sum(getsizeof(name) + getsizeof(value) + _PAIR for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers
