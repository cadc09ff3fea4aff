"""Every metric of the contract is there from the first scrape on, zero where its labels are known."""

from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.adapters.metrics import Metrics
from worker.core.state import Partition
from worker.formats.repairs import LABELS
from worker.ports import PartitionState, Snapshot

REJECTIONS = (
    "malformed_json",
    "invalid_event",
    "missing_required_parameter",
    "invalid_products_format",
    "unknown_visit_id",
    "other_error",
    "payload_too_large",
    "attempts_exhausted",
)
RETRIES = (
    "timeout",
    "connection",
    "http_5xx",
    "http_429",
    "http_other",
    "bad_response",
    "invalid_api_key",
    "rejections",
)
#: The contract: name without prefix, and the label sets that are known beforehand.
CONTRACT: dict[str, list[dict[str, str]]] = {
    "events_consumed_total": [{"topic": "carts"}, {"topic": "orders"}],
    "events_collapsed_total": [{"entity": "cart"}, {"entity": "order"}],
    "events_skipped_total": [
        {"entity": "unknown", "reason": "tombstone"},
        {"entity": "cart", "reason": "empty_products"},
        {"entity": "cart", "reason": "no_visit"},
        {"entity": "order", "reason": "no_visit"},
        {"entity": "order", "reason": "parent_order"},
    ],
    "entities_in_two_partitions_total": [{}],
    "records_key_mismatch_total": [{}],
    "events_repaired_total": [{"repair": label} for label in LABELS],
    "events_delivered_total": [{"entity": "cart"}, {"entity": "order"}],
    "events_rejected_total": [
        {"entity": entity, "reason": reason} for entity in ("cart", "order", "unknown") for reason in REJECTIONS
    ],
    "events_released_total": [{"reason": reason} for reason in ("revoked", "lost", "shutdown")],
    "dead_letters_total": [{"reason": reason} for reason in REJECTIONS],
    "requests_total": [
        {"entity": entity, "outcome": outcome}
        for entity in ("cart", "order")
        for outcome in ("delivered", "rejected", "retryable", "key_refused")
    ],
    "request_duration_seconds_bucket": [{"entity": "cart", "le": "5.0"}],
    "retries_total": [{"reason": reason} for reason in RETRIES],
    "event_delivery_seconds_count": [{"entity": "cart"}, {"entity": "order"}],
    "requests_in_flight": [{}],
    "pending_entities": [{}],
    "pending_bytes": [{}],
    "oldest_unsettled_seconds": [{}],
    "assigned_partitions": [{}],
    "intake_paused": [{"reason": reason} for reason in ("max_pending", "max_pending_bytes", "dead_letter")],
    "sending_paused": [
        {"entity": entity, "reason": reason}
        for entity in ("cart", "order")
        for reason in ("outage", "invalid_api_key", "rejections", "retry_after")
    ],
    "rebalances_total": [{"kind": kind} for kind in ("assigned", "revoked", "lost")],
    "commits_total": [{"result": result} for result in ("success", "failure")],
    "last_poll_timestamp_seconds": [{}],
    "last_delivery_timestamp_seconds": [{}],
}
ON_OWNERS_ONLY = ("consumer_lag", "unread_records", "committed_offset", "open_transaction_seconds")


def scrape(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name.removeprefix("optico_worker_"), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def a_worker(snapshot: Snapshot | None = None) -> Metrics:
    shown = snapshot or Snapshot.nothing()
    return Metrics(lambda: shown, topics=("carts", "orders"))


@pytest.mark.parametrize("name", CONTRACT)
def test_every_metric_is_there_from_the_start(name: str) -> None:
    samples = scrape(a_worker())
    expected = {(name, frozenset(labels.items())) for labels in CONTRACT[name]}
    assert {key: samples.get(key) for key in expected} == dict.fromkeys(expected, 0.0)


def test_nothing_else_is_exposed() -> None:
    """A name that is not in the contract is a name that nobody documented."""
    histograms = {"request_duration_seconds", "event_delivery_seconds", "call_delivery_seconds"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    known = set(CONTRACT) | parts | set(ON_OWNERS_ONLY) | {"build_info"}
    assert {name for name, _ in scrape(a_worker())} <= known


def test_partition_series_exist_only_where_the_partition_is_owned() -> None:
    assert not {name for name, _ in scrape(a_worker())} & set(ON_OWNERS_ONLY)
    partitions = {
        Partition("carts", 0): PartitionState(end=10, position=9, committed=4, open_transaction=61.5),
        Partition("carts", 1): PartitionState(end=None, position=None, committed=None),
    }
    samples = scrape(a_worker(replace(Snapshot.nothing(), partitions=partitions)))
    owned = frozenset({("topic", "carts"), ("partition", "0")})
    assert {name: samples[name, owned] for name in ON_OWNERS_ONLY} == {
        "consumer_lag": 6,
        "unread_records": 1,
        "committed_offset": 4,
        "open_transaction_seconds": 61.5,
    }
    assert samples["assigned_partitions", frozenset()] == 2
    assert len([name for name, _ in samples if name in ON_OWNERS_ONLY]) == 5


def test_what_is_counted_and_measured_shows() -> None:
    snapshot = Snapshot.nothing()
    snapshot.counts.rejected["unknown", "malformed_json"] += 2
    snapshot.counts.consumed["surprise"] += 1
    metrics = a_worker(replace(snapshot, sending_paused=frozenset({("cart", "outage")}), commits=Counter(failure=3)))
    metrics.request("cart", 0.03)
    metrics.delivered("order", 0.7)
    samples = scrape(metrics)

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert value("events_rejected_total", entity="unknown", reason="malformed_json") == 2
    assert value("events_consumed_total", topic="surprise") == 1
    assert value("sending_paused", entity="cart", reason="outage") == 1
    assert value("sending_paused", entity="order", reason="outage") == 0
    assert value("commits_total", result="failure") == 3
    assert value("request_duration_seconds_bucket", entity="cart", le="0.05") == 1
    assert value("event_delivery_seconds_count", entity="order") == 1
    assert value("last_delivery_timestamp_seconds") > 1_700_000_000
