import socket

import pytest

from tests.sandbox.support import KEY, SUCCESS, cart, error, eventually, order, post, send, sent
from worker.sandbox.api import FaultsError, Rule, Sandbox, SandboxControl, SandboxError, SandboxUnavailableError
from worker.sandbox.api.views import SandboxState


@pytest.fixture(params=["in the process", "over HTTP"])
def control(request: pytest.FixtureRequest, sandbox: Sandbox) -> Sandbox | SandboxControl:
    return sandbox if request.param == "in the process" else SandboxControl(sandbox.url)


def test_the_state_counts_requests_by_outcome(control: Sandbox | SandboxControl) -> None:
    empty = SandboxState(0, {}, 0, 0, 0, 0, 0, 0, 0, 0, 0, [])
    assert empty == control.state()
    for form in (cart(), cart(currency=""), cart(key=""), cart(id="2")):
        post(control.url, form)
    state = control.state()
    assert state.outcomes == {"success": 2, "missing_required_parameter": 1, "invalid_api_key": 1}
    assert (
        state.requests,
        state.applied,
        state.records,
        state.in_flight,
        state.max_in_flight,
        state.ledger_size,
    ) == (4, 2, 2, 0, 1, 4)


def test_requests_are_listed_in_order_of_arrival_without_the_key(control: Sandbox | SandboxControl) -> None:
    for entity in "123":
        post(control.url, cart(id=entity))
        post(control.url, order(id=entity), "order")
    seen = control.requests()
    assert [request.seq for request in seen] == [1, 2, 3, 4, 5, 6]
    assert [(request.kind, request.id) for request in seen[:2]] == [("cart", "1"), ("order", "1")]
    assert KEY not in repr(seen)
    assert seen[0].params["currency"] == "EUR"
    assert seen[0].applied_at is not None
    assert seen[0].finished_at is not None
    assert seen[0].arrived_at <= seen[0].applied_at <= seen[0].finished_at <= seen[1].arrived_at


def test_requests_and_records_can_be_narrowed(control: Sandbox | SandboxControl) -> None:
    for entity in "123":
        post(control.url, cart(id=entity))
        post(control.url, order(id=entity), "order")
    assert [request.seq for request in control.requests(after=4)] == [5, 6]
    assert [request.seq for request in control.requests(after=1, kind="cart")] == [3, 5]
    assert [request.seq for request in control.requests(id="2")] == [3, 4]
    assert [request.seq for request in control.requests(kind="order", limit=1)] == [2]
    assert control.requests(after=6) == []
    assert [record.id for record in control.records("order")] == ["3", "2", "1"]
    assert [(record.kind, record.id) for record in control.records("cart", "2")] == [("cart", "2")]
    assert control.records(id="4") == []


def test_more_requests_than_one_chunk_are_listed_whole(control: Sandbox | SandboxControl) -> None:
    for n in range(450):
        post(control.url, cart(id=str(n)))
    assert list(range(1, 451)) == [request.seq for request in control.requests()]
    assert [str(n) for n in range(449, -1, -1)] == [record.id for record in control.records()]


def test_keys_are_revoked_and_restored_while_it_runs(control: Sandbox | SandboxControl) -> None:
    control.set_keys([])
    assert error("Invalid API key") == post(control.url, cart()).json
    control.set_keys({"sk_fake_new", KEY})
    assert post(control.url, cart()).json == SUCCESS
    control.set_keys(None)
    assert post(control.url, cart(key="sk_fake_any")).json == SUCCESS


def test_visits_are_unknown_while_it_is_said_so(control: Sandbox | SandboxControl) -> None:
    control.set_unknown_visits({"v1"})
    assert error("Unknown visit_id") == post(control.url, cart()).json
    control.set_unknown_visits([])
    assert post(control.url, cart()).json == SUCCESS


def test_faults_are_set_shown_and_cleared(control: Sandbox | SandboxControl) -> None:
    control.set_faults([{"ids": {"1"}, "status": 503}, Rule(hang=True, id="none", ids=frozenset({"2"}))])
    assert post(control.url, cart()).status == 503
    shown = control.state().faults
    assert [(fault.rule, fault.hits) for fault in shown] == [
        ({"ids": ["1"], "status": 503}, 1),
        ({"id": "none", "ids": ["2"], "hang": True}, 0),
    ]
    control.clear_faults()
    assert control.state().faults == []


def test_faults_that_make_no_sense_are_refused_and_change_nothing(control: Sandbox | SandboxControl) -> None:
    control.set_faults([{"status": 503}])
    with pytest.raises(FaultsError, match=r"\[1\]\.latency\.p50"):
        control.set_faults([{"hang": True}, {"latency": {"p50": "slow", "p99": 5}}])
    assert [fault.rule for fault in control.state().faults] == [{"status": 503}]


def test_a_reset_forgets_everything_but_the_settings(control: Sandbox | SandboxControl) -> None:
    control.set_faults([{"id": "2", "status": 503}])
    post(control.url, cart())
    post(control.url, cart(id="2"))
    control.reset()
    assert (control.requests(), control.records()) == ([], [])
    assert (control.state().requests, control.state().outcomes, control.state().max_in_flight) == (0, {}, 0)
    assert post(control.url, cart(id="2")).status == 503
    assert [request.seq for request in control.requests()] == [3]


def test_what_was_in_flight_at_a_reset_changes_nothing_after(control: Sandbox | SandboxControl) -> None:
    control.set_faults([{"count": 1, "hang": True, "apply_after_ms": 300}])
    with sent(control.url, cart(id="old")):
        eventually(lambda: control.state().landing == 1)
        control.reset()
        assert (control.state().in_flight, control.state().max_in_flight, control.state().landing) == (1, 1, 0)
        control.set_faults([{"latency": 600}])
        # Answered after the older one has landed, if it does.
        assert post(control.url, cart(id="new")).json == SUCCESS
    eventually(lambda: control.state().in_flight == 0)
    assert [record.id for record in control.records()] == ["new"]
    assert control.state().outcomes == {"success": 1}
    assert control.state().landing == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("PUT", "faults", '[{"status": "x"}]', b"[0].status"),
        ("PUT", "faults", "{", b"faults: Invalid JSON"),
        ("PUT", "faults", "{}", b"faults: Input should be a valid array"),
        ("PUT", "faults", b"\xff", b"Invalid JSON"),
        ("PUT", "keys", "3", b"valid array"),
        ("PUT", "visits", "[1]", b"0: Input should be a valid string"),
        ("GET", "requests?after=-1", None, b"after"),
        ("GET", "requests?limit=x", None, b"limit"),
        ("GET", "records?kind=basket", None, b"kind"),
    ],
)
def test_a_bad_request_is_answered_with_400_and_the_field(
    sandbox: Sandbox, method: str, path: str, body: str | bytes | None, named: bytes
) -> None:
    answer = send(sandbox.url, method, f"/_sandbox/{path}", body)
    assert answer.status == 400
    assert named in answer.body


def test_what_has_no_route_is_not_found(sandbox: Sandbox) -> None:
    assert send(sandbox.url, "POST", "/_sandbox/state").status == 404
    assert send(sandbox.url, "GET", "/_sandbox/nothing").status == 404


def test_the_ledger_keeps_the_newest_requests_and_counts_all() -> None:
    with Sandbox(keys={KEY}, ledger_size=3) as small:
        for n in range(5):
            post(small.url, cart(id=str(n)))
        assert [request.seq for request in small.requests()] == [3, 4, 5]
        assert [request.seq for request in small.requests(after=4)] == [5]
        assert (
            small.state().requests,
            small.state().ledger_size,
            small.state().ledger_dropped,
            small.state().records,
        ) == (5, 3, 2, 5)


def test_counting_only_keeps_records_but_no_requests() -> None:
    with Sandbox(keys={KEY}, counting_only=True) as counting:
        for _ in range(3):
            post(counting.url, cart())
        assert counting.requests() == []
        assert (
            counting.state().requests,
            counting.state().outcomes,
            counting.records()[0].versions,
        ) == (3, {"success": 3}, 3)


def test_a_control_without_a_sandbox_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(SandboxUnavailableError, match="no sandbox answers"):
        SandboxControl(url).state()
    with pytest.raises(SandboxError, match="expected an http or https URL"):
        SandboxControl("localhost:80")


def test_a_control_that_something_else_answers_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="HTTP 404"):
        SandboxControl(f"{sandbox.url}/elsewhere")._send("GET", "nothing")
