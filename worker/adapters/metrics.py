"""Prometheus metrics. Counting happens in the delivery queue; a scrape turns one consistent snapshot into samples."""

import platform
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from worker import __version__
from worker.core.circuit_breaker import KINDS, TripReason
from worker.core.event import Kind
from worker.core.outcome import REJECTION_REASONS, RETRY_REASONS, Result
from worker.formats.repairs import LABELS as LABELS_OF_REPAIRS
from worker.ports import Snapshot

PREFIX = "optico_worker_"
_INTAKE_PAUSED = ("max_pending", "max_pending_bytes", "dead_letter", "too_large")
ENTITIES = (*KINDS, "unknown")
#: A request that times out ends just after its deadline, 5 s by default: an edge close above tells that from slow ones.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 5.5, 10, 30, 60)
DELIVERY_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 120, 300, 900, 3600)

#: What may be skipped, and of which kind. A tombstone's is unknown: it is in nothing but the record's key.
SKIPPED = (
    ("unknown", "tombstone"),
    ("cart", "empty_products"),
    ("cart", "no_visit"),
    ("order", "no_visit"),
    ("order", "parent_order"),
)

Known = Iterable[tuple[str, ...]]

#: What each metric means, for `# HELP` and the reference.
HELP: Mapping[str, str] = {
    "events_consumed_total": "Records read.",
    "events_collapsed_total": "Events that a newer one of the same entity replaced before they were sent.",
    "entities_in_two_partitions_total": "Entities with pending events of two partitions, which have no common order.",
    "events_skipped_total": "Records with nothing to send.",
    "events_repaired_total": "Events that were read in spite of a deviation, once for each kind of it.",
    "records_key_mismatch_total": "Records without a key, or with a key that is not their entity.",
    "events_delivered_total": "Events that the API accepted and that are settled.",
    "events_rejected_total": "Events that will never be sent, or not again.",
    "events_released_total": "Unsettled events given up with their partition; its next owner reads them again.",
    "dead_letters_total": "Dead letters that were acknowledged.",
    "requests_total": "Requests to the API by what came of them.",
    "request_duration_seconds": "Time of one exchange with the API.",
    "retries_total": "Requests that will be repeated, by what was wrong.",
    "event_delivery_seconds": "Time from an event's occurrence to the API's first acceptance.",
    "call_delivery_seconds": "The same, of carts and orders whose customer is on a call.",
    "requests_in_flight": "Requests that are under way.",
    "pending_entities": "Entities with anything unsettled, and rejected events that await their dead letter.",
    "pending_bytes": "Memory that unsettled events take, about.",
    "oldest_unsettled_seconds": "Time since the oldest unsettled event was read; 0: there is none.",
    "consumer_lag": "Log end offset (high watermark) minus committed offset.",
    "unread_records": "Log end offset (high watermark) minus next offset to read.",
    "open_transaction_seconds": "Time for which an open transaction has held up reading at one offset; 0: none does.",
    "committed_offset": "Committed offset.",
    "assigned_partitions": "Partitions that this worker owns.",
    "intake_paused": "1 while reading is paused for this reason; records of calls wait with all others then.",
    "sending_paused": "1 while sending of this kind is paused for this reason.",
    "rebalances_total": "Times that partitions came or went.",
    "commits_total": "Offset commits.",
    "last_poll_timestamp_seconds": "When the poll loop last turned.",
    "last_delivery_timestamp_seconds": "When the API last accepted an event.",
    "build_info": "1, labelled with what is running.",
}


#: Labels of series that exist only once there is a partition.
LABELS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("consumer_lag", "unread_records", "committed_offset", "open_transaction_seconds"), ("topic", "partition")
)


class Metrics:
    """The worker's registry and what is measured directly, by one thread. An exposition is for any thread.

    `topics` are those whose counters start at zero.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], topics: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = _Durations("request_duration_seconds", REQUEST_BUCKETS)
        self._deliveries = _Durations("event_delivery_seconds", DELIVERY_BUCKETS)
        self._calls = _Durations("call_delivery_seconds", DELIVERY_BUCKETS)
        for durations in (self._requests, self._deliveries, self._calls):
            self.registry.register(durations)
        self._delivered_at = 0.0
        self.registry.register(_Snapshots(snapshot, tuple(topics), lambda: self._delivered_at))

    def request(self, kind: Kind, seconds: float) -> None:
        self._requests.observe(kind, seconds)

    def delivered(self, kind: Kind, seconds: float) -> None:
        self._deliveries.observe(kind, seconds)
        self._delivered_at = time.time()

    def call_delivered(self, kind: Kind, seconds: float) -> None:
        self._calls.observe(kind, seconds)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Durations(Collector):
    """A histogram with the label `entity`, observed by one thread: the library's own takes four times as long."""

    def __init__(self, name: str, buckets: tuple[float, ...]) -> None:
        self._name, self._buckets = name, buckets
        self._counts = {kind: [0] * (len(buckets) + 1) for kind in KINDS}
        self._sums = dict.fromkeys(KINDS, 0.0)

    def observe(self, kind: Kind, seconds: float) -> None:
        self._counts[kind][bisect_left(self._buckets, seconds)] += 1
        self._sums[kind] += seconds

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(PREFIX + self._name, HELP[self._name], labels=["entity"])
        edges = [*map(str, map(float, self._buckets)), "+Inf"]
        for kind, counts in self._counts.items():
            family.add_metric([kind], list(zip(edges, accumulate(counts), strict=True)), self._sums[kind])
        yield family


class _Snapshots(Collector):
    def __init__(
        self, snapshot: Callable[[], Snapshot], topics: tuple[str, ...], delivered_at: Callable[[], float]
    ) -> None:
        self._snapshot = snapshot
        self._delivered_at = delivered_at
        self._topics = topics

    def describe(self) -> Iterator[Metric]:
        return iter(())  # no snapshot is taken to register

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot()
        yield from self._counters(snapshot)
        yield from _gauges(snapshot)
        yield _gauge("last_delivery_timestamp_seconds", self._delivered_at())
        yield from _partitions(snapshot)

    def _counters(self, snapshot: Snapshot) -> Iterator[Metric]:
        counts = snapshot.counts
        reasons = [(reason,) for reason in REJECTION_REASONS]
        kinds = [(kind,) for kind in KINDS]
        yield _counter("events_consumed", ["topic"], counts.consumed, [(topic,) for topic in self._topics])
        yield _counter("events_collapsed", ["entity"], counts.collapsed, kinds)
        yield _counter("events_skipped", ["entity", "reason"], counts.skipped, SKIPPED)
        yield _counter("events_repaired", ["repair"], counts.repaired, [(label,) for label in LABELS_OF_REPAIRS])
        yield CounterMetricFamily(
            PREFIX + "records_key_mismatch",
            HELP["records_key_mismatch_total"],
            value=counts.key_mismatches.total(),
        )
        yield CounterMetricFamily(
            PREFIX + "entities_in_two_partitions",
            HELP["entities_in_two_partitions_total"],
            value=counts.in_two_partitions.total(),
        )
        yield _counter("events_delivered", ["entity"], counts.delivered, kinds)
        pairs = [(entity, reason) for entity in ENTITIES for reason in REJECTION_REASONS]
        yield _counter("events_rejected", ["entity", "reason"], counts.rejected, pairs)
        yield _counter("events_released", ["reason"], counts.released, [("revoked",), ("lost",), ("shutdown",)])
        yield _counter("dead_letters", ["reason"], counts.letters, reasons)
        outcomes = [(kind, result.value) for kind in KINDS for result in Result]
        yield _counter("requests", ["entity", "outcome"], counts.requests, outcomes)
        yield _counter("retries", ["reason"], counts.retries, [(reason,) for reason in RETRY_REASONS])
        yield _counter("rebalances", ["kind"], snapshot.rebalances, [("assigned",), ("revoked",), ("lost",)])
        yield _counter("commits", ["result"], snapshot.commits, [("success",), ("failure",)])


def _counter(
    name: str, labels: list[str], values: Mapping[str, int] | Mapping[tuple[str, str], int], known: Known
) -> Metric:
    family = CounterMetricFamily(PREFIX + name, HELP[name + "_total"], labels=labels)
    counted = {(key,) if isinstance(key, str) else tuple(map(str, key)): count for key, count in values.items()}
    for key in dict.fromkeys([*known, *counted]):
        family.add_metric(key, counted.get(key, 0))
    return family


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, HELP[name], value=value)


def _gauges(snapshot: Snapshot) -> Iterator[Metric]:
    yield _gauge("requests_in_flight", snapshot.in_flight)
    yield _gauge("pending_entities", snapshot.pending)
    yield _gauge("pending_bytes", snapshot.pending_bytes)
    yield _gauge("oldest_unsettled_seconds", snapshot.oldest_unsettled)
    yield _gauge("assigned_partitions", len(snapshot.partitions))
    yield _gauge("last_poll_timestamp_seconds", snapshot.polled_at)
    intake = [(reason,) for reason in _INTAKE_PAUSED]
    yield _flags("intake_paused", ["reason"], intake, {(reason,) for reason in snapshot.intake_paused})
    reasons = (*TripReason, "retry_after")
    sending = [(kind, str(reason)) for kind in KINDS for reason in reasons]
    yield _flags("sending_paused", ["entity", "reason"], sending, snapshot.sending_paused)
    build = GaugeMetricFamily(PREFIX + "build_info", HELP["build_info"], labels=["version", "python"])
    build.add_metric([__version__, platform.python_version()], 1)
    yield build


def _flags(name: str, labels: list[str], known: Known, active: Collection[tuple[str, ...]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, HELP[name], labels=labels)
    for values in known:
        family.add_metric(values, values in active)
    return family


def _partitions(snapshot: Snapshot) -> Iterator[Metric]:
    lag, unread, committed, still = (
        GaugeMetricFamily(PREFIX + name, HELP[name], labels=labels) for name, labels in LABELS.items()
    )
    for partition, state in snapshot.partitions.items():
        labels = [partition.topic, str(partition.partition)]
        if state.committed is not None:
            committed.add_metric(labels, state.committed)
        if state.end is not None and state.committed is not None:
            lag.add_metric(labels, max(0, state.end - state.committed))
        if state.end is not None and state.position is not None:
            unread.add_metric(labels, max(0, state.end - state.position))
        still.add_metric(labels, state.open_transaction)
    yield from (lag, unread, committed, still)
