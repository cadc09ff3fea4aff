"""What the API may answer, and what it may do instead of answering."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.brokers.tools import Record, wait_until
from tests.integration.conftest import Stage
from tests.integration.events import VISIT, cart, order, version
from tests.integration.process import worker

Stages = Callable[..., Stage]

#: A fault for one request, and the reason under which its retry is counted.
PASSING_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "500": ({"status": 500}, "http_5xx"),
    "503 with an envelope": ({"status": 503, "body": '{"status":"error","message":"no"}'}, "http_5xx"),
    "408": ({"status": 408}, "http_other"),
    "429": ({"status": 429, "headers": {"Retry-After": "1"}}, "http_429"),
    "404 page": ({"status": 404, "body": "<html>not found</html>"}, "http_other"),
    "redirect": ({"redirect": True}, "http_other"),
    "slow drip": ({"drip": 1000}, "timeout"),
    "silence": ({"hang": True}, "timeout"),
    "late answer": ({"latency": 3000}, "timeout"),
    "reset before": ({"reset": "before"}, "connection"),
    "reset after it was accepted": ({"reset": "after"}, "connection"),
    "cut off": ({"truncated": True}, "connection"),
    "garbage": ({"garbage": True}, "bad_response"),
    "HTML": ({"html": True}, "bad_response"),
    "endless body": ({"huge": 16}, "bad_response"),
}


def test_every_passing_fault_is_retried_until_the_event_is_delivered(stage: Stages) -> None:
    """Whatever stands between us and an answer, each event arrives in the end, and each retry is counted."""
    s = stage(partitions=2)
    # One entity for each fault, and good ones between them, so that it is no outage.
    faults = [{"id": str(i), "count": 1, **fault} for i, (fault, _) in enumerate(PASSING_FAULTS.values())]
    s.api.set_faults(faults)
    with worker(**s.settings(OPTICO_TIMEOUT_SECONDS="1.5", OPTICO_MAX_CONCURRENCY="4")) as w:
        s.produce([cart(id_, 2) for i in range(len(faults)) for id_ in (str(i), f"good-{i}")])
        s.wait_all_committed()
        metrics = w.metrics()
        assert w.stop() == 0
    assert all(version(params) == 2 for params in s.held().values())
    assert len(s.held()) == 2 * len(faults)
    for reason in {reason for _, reason in PASSING_FAULTS.values()}:
        expected = sum(other == reason for _, other in PASSING_FAULTS.values())
        assert metrics[f"retries_total{{reason={reason}}}"] == expected, reason


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"envelope": "Missing required parameter"}, "missing_required_parameter"),
        ({"envelope": "Invalid products format"}, "invalid_products_format"),
        ({"envelope": "Unknown visit_id"}, "unknown_visit_id"),
        ({"envelope": "The moon is full"}, "other_error"),
        ({"status": 413, "body": "too large"}, "payload_too_large"),
    ],
)
def test_a_rejection_commits_and_is_never_sent_again(stage: Stages, fault: dict[str, Any], reason: str) -> None:
    s = stage()
    s.api.set_faults([{"id": "poison", **fault}])
    s.produce([cart("poison"), cart("good")])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.metrics()[f"events_rejected_total{{entity=cart,reason={reason}}}"] == 1
        assert w.stop() == 0
        line = w.logged("the API rejected an event")[0]
    assert set(s.held()) == {("cart", "good")}
    assert sum(request.id == "poison" for request in s.api.requests()) == 1
    assert line["reason"] == reason
    assert (line["topic"], line["partition"], line["offset"]) == (s.topic, 0, 0)


def test_a_cart_whose_form_would_be_out_of_all_proportion_is_cut_before_it_is_built(stage: Stages) -> None:
    """Its details would come to a gigabyte: the agent sees the line, and that its details are missing."""
    s = stage()
    details = {"k" * 30_000: ["v"] * 30_000}
    s.produce([cart("huge", products=[{"id": 1, "name": "Mug", "quantity": 1, "price": 5, "details": details}])])
    s.produce([cart("good")])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        metrics = w.metrics()
        assert w.stop() == 0
    assert metrics["events_repaired_total{repair=too_large}"] == 1
    assert metrics["requests_total{entity=cart,outcome=delivered}"] == 2
    assert s.held()["cart", "huge"]["products"][0]["details"] == "…"


def test_records_that_break_the_contract_are_rejected_without_a_request(stage: Stages) -> None:
    """They are counted and logged with their coordinates and field, never with a value, and take nothing with them."""
    s = stage()
    broken = {"type": "cart", "id": "1", "currency": "EUR", "visit_id": VISIT, "is_logged_in": 0, "products": "secret"}
    s.produce([cart("1", 5), Record(b"cart:1", json.dumps(broken).encode()), Record(b"x", b"{oops"), order("9")])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        metrics = w.metrics()
        assert w.stop() == 0
        lines = {line["offset"]: line for line in w.logged("a record was rejected")}
        text = w.log_text()
    assert version(s.held()["cart", "1"]) == 5
    assert len(s.api.requests()) == 2
    assert metrics["events_rejected_total{entity=cart,reason=invalid_event}"] == 1
    assert metrics["events_rejected_total{entity=unknown,reason=malformed_json}"] == 1
    assert lines[1]["path"] == "products"
    assert "array" in lines[1]["problem"]
    assert lines[2]["reason"] == "malformed_json"
    assert "secret" not in text
    assert "oops" not in text


def test_an_outage_is_noticed_survived_and_not_hammered(stage: Stages) -> None:
    """The breaker opens, probes come one at a time, everything arrives afterwards, and the poll loop never waits."""
    s = stage(partitions=2)
    s.api.set_faults([{"status": 503}])
    with worker(**s.settings()) as w:
        w.wait_ready()
        s.produce([cart(str(i % 50), i) for i in range(1, 501)])
        wait_until(lambda: w.metrics()["sending_paused{entity=cart,reason=outage}"] == 1, "the breaker to open", 20)
        after_shutting = s.api.state().requests
        s.produce([cart(str(i % 50), i) for i in range(501, 1001)])
        wait_until(lambda: s.api.state().requests >= after_shutting + 2, "two probes", 20)
        assert s.api.state().requests <= after_shutting + 40, "an open breaker must not flood"
        assert w.get("/healthz")[0] == w.get("/readyz")[0] == 200
        assert w.total("events_rejected_total") == 0
        s.api.clear_faults()
        s.wait_all_committed()
        assert w.metrics()["sending_paused{entity=cart,reason=outage}"] == 0
        assert w.stop() == 0
        assert w.logged("drained")[0]["longest_poll_gap_seconds"] < 1
    assert {version(params) for params in s.held().values()} == set(range(951, 1001))


def test_a_refused_key_stops_sending_until_the_file_has_a_new_one(stage: Stages, tmp_path: Any) -> None:
    """Nothing is lost, `/readyz` says why, and no restart is needed."""
    s = stage()
    key_file = tmp_path / "key"
    key_file.write_text("sk_fake_revoked\n")
    with worker(**s.settings(OPTICO_API_KEY="", OPTICO_API_KEY_FILE=str(key_file))) as w:
        s.produce([cart(str(i)) for i in range(20)])
        wait_until(lambda: w.get("/readyz")[0] == 503 and "key" in w.get("/readyz")[1], "the key to be refused", 20)
        assert w.get("/healthz")[0] == 200
        assert not s.held()
        key_file.write_text("sk_fake_renewed\n")
        s.api.set_keys(["sk_fake_renewed"])
        s.wait_all_committed()
        assert w.get("/readyz")[0] == 200
        assert w.stop() == 0
        text = w.log_text()
    assert len(s.held()) == 20
    assert "sk_fake" not in text


def test_a_state_that_overtook_a_lost_request_is_sent_once_more(stage: Stages) -> None:
    """The old request lands after the new state was accepted; ten seconds later the new one is there again."""
    s = stage()
    s.api.set_faults([{"id": "1", "count": 1, "hang": True, "apply_after_ms": 6000}])
    with worker(**s.settings(OPTICO_TIMEOUT_SECONDS="1")) as w:
        s.produce([cart("1", 1)])
        wait_until(lambda: s.api.state().requests == 1, "the first request", 20)
        s.produce([cart("1", 2)])
        wait_until(lambda: len(s.api.requests()) == 2, "the newer state", 20)
        assert not s.all_committed(), "it settles only when it is confirmed"
        wait_until(lambda: version(s.held()["cart", "1"]) == 1, "the old request to land late", 20)
        s.wait_all_committed()
        assert w.metrics()["events_delivered_total{entity=cart}"] == 1
        assert w.stop() == 0
    assert version(s.held()["cart", "1"]) == 2


def test_retry_after_on_a_429_pauses_everything(stage: Stages) -> None:
    s = stage()
    s.api.set_faults([{"id": "1", "count": 1, "status": 429, "headers": {"Retry-After": "3"}}])
    with worker(**s.settings(OPTICO_MAX_CONCURRENCY="1")) as w:
        s.produce([cart(str(i)) for i in range(1, 6)])
        wait_until(lambda: w.metrics()["sending_paused{entity=cart,reason=retry_after}"] == 1, "the pause", 20)
        s.wait_all_committed()
        assert w.stop() == 0
    times = [request.arrived_at for request in s.api.requests()]
    first_429 = next(request.arrived_at for request in s.api.requests() if request.status == 429)
    assert min(time for time in times if time > first_429) - first_429 >= 2.9
