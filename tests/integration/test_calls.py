"""A customer on the phone: the cart is there at once, whatever waits, and no link to a call is lost."""

import json
import time
from dataclasses import replace

import pytest

from tests.brokers.tools import wait_until
from tests.integration.conftest import Stage
from tests.integration.events import cart, version
from tests.integration.process import worker
from tests.integration.test_life import Stages

RATE, BACKLOG = 20, 400


@pytest.mark.parametrize("where", ["same", "another"])
def test_a_call_does_not_wait_behind_a_backlog_at_the_rate_limit(stage: Stages, where: str) -> None:
    """The backlog of one partition takes twenty seconds; a call comes to it, or to another partition."""
    s: Stage = stage(2)
    call = 0 if where == "same" else 1
    s.produce([replace(cart(f"backlog-{number}"), partition=0) for number in range(BACKLOG)])
    with worker(**s.settings(OPTICO_MAX_REQUESTS_PER_SECOND=str(RATE))) as w:
        wait_until(lambda: len(s.api.requests()) > 2 * RATE, "the backlog to be at the rate limit", 60)
        sent = time.time()
        linked, click, later = cart("caller", call_id=7, agent="Zoe"), cart("caller", 2), cart("caller", 3)
        s.produce([replace(record, partition=call) for record in (linked, click)])
        wait_until(lambda: ("cart", "caller") in s.held(), "the caller's cart", 15)
        held = s.held()["cart", "caller"]
        arrived = next(request.arrived_at for request in s.api.requests() if request.id == "caller")
        assert (version(held), held["call_id"], held["agent"]) == (2, "7", "Zoe")
        assert arrived - sent < 6.0
        assert len(s.api.requests()) < BACKLOG
        s.produce([replace(later, partition=call)])
        wait_until(lambda: version(s.held()["cart", "caller"]) == 3, "the caller's own click", 15)
        assert len(s.api.requests()) < BACKLOG
        assert w.total("call_delivery_seconds_count") == 2


def test_a_link_that_a_newer_state_carries_survives_a_kill(stage: Stages) -> None:
    """The record that says it is not committed past before the newer state is accepted."""
    s: Stage = stage()
    s.api.set_faults([{"status": 503}])
    s.produce([cart("1", call_id=7), cart("1", version=2)])
    with worker(**s.settings(KAFKA_SESSION_TIMEOUT_MS="8000")) as w:
        wait_until(lambda: w.total("retries_total") >= 1, "a try", 30)
        wait_until(lambda: s.committed().get(0) == 0, "a commit", 30)
        w.kill()
    s.api.clear_faults()
    with worker(**s.settings()):
        s.wait_all_committed()
    held = s.held()["cart", "1"]
    assert (version(held), held["call_id"]) == (2, "7")


def test_that_calls_wait_behind_a_bound_is_said(stage: Stages) -> None:
    s: Stage = stage()
    s.api.set_faults([{"status": 503}])
    s.produce([cart(str(number)) for number in range(30)])
    with worker(**s.settings(WORKER_MAX_PENDING="10")) as w:
        wait_until(lambda: w.metrics().get("intake_paused{reason=max_pending}") == 1, "the bound", 30)
        status, body = w.get("/readyz")
        assert status == 200
        assert json.loads(body)["intake_paused"]["reasons"] == ["max_pending"]
        assert "calls wait" in json.loads(body)["intake_paused"]["consequence"]
