import time
from contextlib import ExitStack

import pytest

from tests.sandbox.support import SUCCESS, abort, cart, error, eventually, order, post, read_all, sent
from worker.sandbox.api import Sandbox, SeenRequest


def last(sandbox: Sandbox) -> SeenRequest:
    return sandbox.requests()[-1]


def idle(sandbox: Sandbox) -> None:
    eventually(lambda: sandbox.state().in_flight == 0)


def test_a_latency_delays_the_true_answer(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"latency": 150}])
    started = time.monotonic()
    assert post(sandbox.url, cart()).json == SUCCESS
    assert 0.15 <= time.monotonic() - started < 5
    seen = last(sandbox)
    assert (
        seen.outcome,
        seen.status,
        seen.fault,
        seen.applied,
        seen.applied_late,
    ) == ("success", 200, "latency", True, False)
    assert seen.finished_at is not None
    assert seen.finished_at - seen.arrived_at >= 0.15


def test_any_status_with_headers_and_a_body_stands_before_the_api(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"status": 429, "headers": {"Retry-After": "7"}, "body": "slow down"}])
    answer = post(sandbox.url, cart())
    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "7", b"slow down")
    assert (last(sandbox).outcome, last(sandbox).status, last(sandbox).applied) == ("status", 429, False)


def test_a_status_may_carry_an_envelope_and_take_effect(sandbox: Sandbox) -> None:
    headers = {"content-type": "application/json"}
    sandbox.set_faults([{"status": 403, "headers": headers, "body": '{"status": "success"}', "apply": True}])
    answer = post(sandbox.url, cart())
    assert (answer.status, answer.headers["content-type"], answer.json) == (403, "application/json", SUCCESS)
    assert sandbox.state().records == 1


def test_a_drip_answers_byte_by_byte(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"drip": 5}])
    started = time.monotonic()
    with sent(sandbox.url, cart()) as opened:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += opened.recv(1)
        # A packet for every byte: there was nothing to receive but that one.
        bytes_seen = [opened.recv(1) for _ in range(len(b'{"status":"success"}'))]
    assert b"".join(bytes_seen) == b'{"status":"success"}'
    assert time.monotonic() - started >= 20 * 0.005
    assert (last(sandbox).outcome, last(sandbox).applied, last(sandbox).client_gone) == ("drip", True, False)


def test_a_client_that_leaves_a_drip_is_seen_to_go(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"drip": True}])
    with sent(sandbox.url, cart()) as opened:
        opened.recv(1)
    idle(sandbox)
    assert (last(sandbox).outcome, last(sandbox).status, last(sandbox).client_gone) == ("drip", 200, True)


@pytest.mark.parametrize(("when", "records"), [("before", 0), ("after", 1)])
def test_a_reset_takes_effect_or_not_and_never_answers(sandbox: Sandbox, when: str, records: int) -> None:
    sandbox.set_faults([{"reset": when}])
    with sent(sandbox.url, cart()) as opened, pytest.raises(ConnectionResetError):
        read_all(opened)
    assert records == sandbox.state().records
    assert ("reset", None, bool(records)) == (last(sandbox).outcome, last(sandbox).status, last(sandbox).applied)


def test_a_hang_never_answers_and_ends_when_the_client_goes(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"hang": True}])
    with sent(sandbox.url, cart()) as opened:
        eventually(lambda: sandbox.state().in_flight == 1)
        assert (last(sandbox).outcome, last(sandbox).finished_at) == ("in_flight", None)
        opened.settimeout(0.1)
        with pytest.raises(TimeoutError):
            opened.recv(1)
    idle(sandbox)
    seen = last(sandbox)
    assert (seen.outcome, seen.status, seen.client_gone, seen.applied) == ("hang", None, True, False)
    assert sandbox.state().outcomes == {"hang": 1}


def test_a_hang_may_take_effect_at_once(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"hang": True, "apply": True}])
    with sent(sandbox.url, cart()):
        eventually(lambda: sandbox.state().records == 1)
    idle(sandbox)
    assert (last(sandbox).applied, last(sandbox).applied_late) == (True, False)


def test_a_request_that_its_client_gave_up_lands_late_over_a_newer_one(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"count": 1, "hang": True, "apply_after_ms": 1500}])
    with sent(sandbox.url, cart(currency="EUR")) as opened:
        eventually(lambda: sandbox.state().in_flight == 1)
        abort(opened)
    idle(sandbox)
    assert sandbox.state().landing == 1
    assert post(sandbox.url, cart(currency="USD")).json == SUCCESS
    eventually(lambda: sandbox.state().landing == 0)
    record, (old, new) = sandbox.records()[0], sandbox.requests()
    assert ("EUR", 2, old.seq) == (record.params["currency"], record.versions, record.seq)
    assert (old.applied_late, new.applied_late, sandbox.state().applied_late) == (True, False, 1)
    assert old.applied_at is not None
    assert old.applied_at - old.arrived_at >= 1.5


def test_a_slow_request_takes_effect_even_if_its_client_has_gone(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"latency": 1000}])
    with sent(sandbox.url, cart()):
        eventually(lambda: sandbox.state().in_flight == 1)
    idle(sandbox)
    assert (last(sandbox).outcome, last(sandbox).status, last(sandbox).client_gone) == ("client_gone", None, True)
    eventually(lambda: sandbox.state().records == 1)
    assert last(sandbox).applied_late


def test_an_answer_may_come_before_the_effect(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"status": 503, "apply_after_ms": 1000}])
    assert post(sandbox.url, cart()).status == 503
    assert (sandbox.state().records, sandbox.state().landing) == (0, 1)
    eventually(lambda: sandbox.state().records == 1)
    assert last(sandbox).applied_late


def test_garbage_html_and_a_redirect_come_from_something_in_between(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"id": "1", "garbage": True}, {"id": "2", "html": True}, {"id": "3", "redirect": True}])
    garbage, html, redirect = (post(sandbox.url, cart(id=entity)) for entity in "123")
    assert (garbage.status, garbage.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match="Expecting value"):
        _ = garbage.json
    assert (html.status, html.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<h1>" in html.body
    assert (redirect.status, redirect.headers["location"]) == (302, "/login")
    assert sandbox.state().records == 0


def test_a_truncated_answer_promises_more_than_it_sends(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"truncated": True}])
    with sent(sandbox.url, cart()) as opened:
        head, _, body = read_all(opened).partition(b"\r\n\r\n")
    assert body == b'{"status":"success"}'
    assert f"Content-Length: {len(body) + 1000}".encode() in head
    assert last(sandbox).applied


def test_a_message_may_name_the_id(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"envelope": "Cart {id} is refused"}])
    assert post(sandbox.url, cart(id="17")).json == error("Cart 17 is refused")


def test_any_envelope_can_be_answered(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"kind": "cart", "envelope": "Invalid API key"}, {"envelope": {"status": "success"}}])
    assert (200, error("Invalid API key")) == ((answer := post(sandbox.url, cart())).status, answer.json)
    assert post(sandbox.url, order(), "order").json == SUCCESS
    assert [(e.outcome, e.applied) for e in sandbox.requests()] == [("envelope", False), ("envelope", True)]


def test_a_huge_body_is_streamed_whole(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"huge": 5}])
    assert len(post(sandbox.url, cart()).body) == 5_000_000
    assert last(sandbox).outcome == "huge"


def test_a_client_that_leaves_a_huge_body_ends_it(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"huge": 1000}])
    with sent(sandbox.url, cart()) as opened:
        opened.recv(100_000)
    idle(sandbox)
    assert last(sandbox).client_gone


def test_a_latency_goes_with_an_action(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"latency": {"min": 100, "max": 120}, "status": 503}])
    started = time.monotonic()
    assert post(sandbox.url, cart()).status == 503
    assert time.monotonic() - started >= 0.1


def test_an_invalid_request_takes_no_effect_whatever_the_fault_says(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"status": 500, "apply": True}])
    assert post(sandbox.url, cart(key="sk_other")).status == 500
    sandbox.set_faults([{"latency": 1}])
    assert error("Invalid API key") == post(sandbox.url, cart(key="sk_other")).json
    assert sandbox.state().records == 0


def test_a_fault_is_for_the_requests_it_matches_and_as_often_as_it_says(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"kind": "order", "ids": ["7", "8"], "count": 2, "status": 503}])
    assert [post(sandbox.url, cart(id="7")).status, post(sandbox.url, order(id="9"), "order").status] == [200, 200]
    assert [post(sandbox.url, order(id=entity), "order").status for entity in "787"] == [503, 503, 200]
    state = sandbox.state().faults[0]
    assert (state.hits, state.active, state.rule["kind"]) == (2, False, "order")
    assert sorted(state.rule["ids"]) == ["7", "8"]


def test_faults_that_are_cleared_or_replaced_are_gone(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"status": 500}])
    sandbox.set_faults([{"status": 501}])
    assert post(sandbox.url, cart()).status == 501
    sandbox.clear_faults()
    assert post(sandbox.url, cart()).status == 200


def test_requests_that_hang_hold_up_neither_others_nor_the_control(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"id": "stuck", "hang": True}])
    with ExitStack() as stuck:
        for _ in range(20):
            stuck.enter_context(sent(sandbox.url, cart(id="stuck")))
        eventually(lambda: sandbox.state().in_flight == 20)
        assert post(sandbox.url, cart(id="free")).json == SUCCESS
        assert [record.id for record in sandbox.records()] == ["free"]
        assert len(sandbox.requests(id="stuck")) == 20
        sandbox.set_faults([])
        assert post(sandbox.url, cart(id="stuck")).json == SUCCESS
    idle(sandbox)
    assert sandbox.state().max_in_flight == 21


def test_a_client_that_leaves_in_the_middle_of_its_request_is_counted(sandbox: Sandbox) -> None:
    with sent(sandbox.url, cart()) as opened:
        assert opened.recv(1)
        opened.sendall(b"POST /api/customer-cart HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nkey=")
        eventually(lambda: sandbox.state().in_flight == 1)
    idle(sandbox)
    assert sandbox.state().outcomes == {"success": 1, "client_gone": 1}
