import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pyreqwest.client import SyncClientBuilder

from tests.sandbox.support import KEY, SUCCESS, ask, cart, connection, error, order, post, send
from worker.sandbox.api import Sandbox

FORM = "application/x-www-form-urlencoded"
MISSING = error("Missing required parameter")
PRODUCTS = error("Invalid products format")
VECTORS = Path(__file__).parents[1] / "vectors" / "forms.json"


def test_a_cart_and_an_order_are_accepted_and_kept(sandbox: Sandbox) -> None:
    answer = post(sandbox.url, cart(**{"products[0][details][color]": "blue"}))
    assert (answer.status, answer.headers["content-type"], answer.json) == (200, "application/json", SUCCESS)
    assert post(sandbox.url, order(), "order").json == SUCCESS
    newest, older = sandbox.records()
    assert (newest.kind, newest.id, newest.params["status"]) == ("order", "1", "Completed")
    product = {"id": "1", "name": "Product 1", "quantity": "2", "price": "29.99", "details": {"color": "blue"}}
    assert [product] == older.params["products"]


def test_a_second_version_updates_the_record_and_becomes_the_newest(sandbox: Sandbox) -> None:
    for entity, currency in (("1", "EUR"), ("2", "EUR"), ("1", "USD")):
        post(sandbox.url, cart(id=entity, currency=currency))
    first, second = sandbox.records()
    assert (first.id, first.params["currency"], first.versions) == ("1", "USD", 2)
    assert (second.id, second.params["currency"], second.versions) == ("2", "EUR", 1)
    assert first.created_at < second.created_at < first.updated_at


@pytest.mark.parametrize("key", [None, "", "sk_other"])
def test_a_key_that_is_absent_empty_or_unknown_is_refused(sandbox: Sandbox, key: str | None) -> None:
    assert error("Invalid API key") == post(sandbox.url, cart(key=key)).json
    assert sandbox.records() == []


@pytest.mark.parametrize("name", ["id", "currency", "visit_id", "is_logged_in"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_cart_without_a_required_parameter_is_refused(sandbox: Sandbox, name: str, value: str | None) -> None:
    assert post(sandbox.url, cart(**{name: value})).json == MISSING


@pytest.mark.parametrize("name", ["id", "cart_id", "currency", "visit_id", "status"])
@pytest.mark.parametrize("value", [None, ""])
def test_an_order_without_a_required_parameter_is_refused(sandbox: Sandbox, name: str, value: str | None) -> None:
    assert post(sandbox.url, order(**{name: value}), "order").json == MISSING


def test_products_that_are_absent_or_empty_are_a_missing_parameter(sandbox: Sandbox) -> None:
    bare = {name: value for name, value in cart().items() if not name.startswith("products")}
    assert post(sandbox.url, bare).json == MISSING
    assert post(sandbox.url, {**bare, "products": ""}).json == MISSING


def test_an_id_that_is_an_array_is_a_missing_parameter(sandbox: Sandbox) -> None:
    assert post(sandbox.url, {**cart(id=None), "id[]": "1"}).json == MISSING


@pytest.mark.parametrize(
    "changes",
    [
        {"products[0][id]": None},
        {"products[0][name]": ""},
        {"products[0][quantity]": None},
        {"products[0][price]": None},
        {"products[0][quantity]": "2.5"},
        {"products[0][price]": "NaN"},
        {"products[0][price]": "free"},
        {"products[0][name][x]": "a name is a string"},
        {"products[1]": "not an object"},
        {"products[first][id]": "1"},
        {"products[": "x", "products": "x"},
    ],
)
def test_products_that_are_no_array_of_products_are_refused(sandbox: Sandbox, changes: dict[str, str | None]) -> None:
    assert post(sandbox.url, cart(**changes)).json == PRODUCTS
    assert sandbox.records() == []


def test_hostile_names_are_fields_like_any_other(sandbox: Sandbox) -> None:
    names = {"products[": "1", "products[0": "2", "agent[b]c": "3", "__proto__": "4", "__proto__[x]": "5"}
    assert post(sandbox.url, cart(**names)).json == SUCCESS
    params = sandbox.records()[0].params
    assert (params["products_"], params["products_0"], params["agent"]) == ("1", "2", {"b": "3"})
    assert params["__proto__"] == {"x": "5"}


def test_a_cart_of_a_thousand_products_is_kept_whole_unless_fields_are_limited(sandbox: Sandbox) -> None:
    many = {name.replace("[0]", f"[{n}]"): value for n in range(1000) for name, value in cart().items()}
    assert post(sandbox.url, many).json == SUCCESS
    assert len(sandbox.records()[0].params["products"]) == 1000
    with Sandbox(keys={KEY}, max_fields=1000) as limited:
        # 5 fields and 995 of the products': the 249th product lacks its price.
        assert post(limited.url, many).json == PRODUCTS
    with Sandbox(keys={KEY}, max_fields=1001) as limited:
        assert post(limited.url, many).json == SUCCESS
        assert len(limited.records()[0].params["products"]) == 249


def test_an_unknown_visit_is_refused_until_it_is_known(sandbox: Sandbox) -> None:
    sandbox.set_unknown_visits({"v1"})
    assert error("Unknown visit_id") == post(sandbox.url, cart()).json
    assert post(sandbox.url, cart(visit_id="v2")).json == SUCCESS
    sandbox.set_unknown_visits(())
    assert post(sandbox.url, cart()).json == SUCCESS


def test_the_checks_come_in_order_key_parameters_products_visit(sandbox: Sandbox) -> None:
    sandbox.set_unknown_visits({"v1"})
    wrong: dict[str, str | None] = {"key": "sk_other", "currency": "", "products[0][price]": ""}
    for name, expected in zip(
        [*wrong, "visit_id"],
        ["Invalid API key", "Missing required parameter", "Invalid products format", "Unknown visit_id"],
        strict=True,
    ):
        assert error(expected) == post(sandbox.url, cart(**wrong)).json
        wrong.pop(name, None)


def test_a_body_that_is_no_form_has_no_fields(sandbox: Sandbox) -> None:
    body = json.dumps(cart())
    assert error("Invalid API key") == send(sandbox.url, "POST", "/api/customer-cart", body).json
    typed = {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"}
    assert send(sandbox.url, "POST", "/api/customer-cart", urlencode(cart()), **typed).json == SUCCESS


def test_a_compressed_body_is_not_unpacked(sandbox: Sandbox) -> None:
    packed = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    for body in (gzip.compress(urlencode(cart()).encode()), b"not gzip"):
        assert send(sandbox.url, "POST", "/api/customer-cart", body, **packed).json == error("Invalid API key")


def test_a_body_that_is_too_large_is_answered_with_413() -> None:
    with Sandbox(keys={KEY}, max_body_bytes=10_000) as small:
        assert post(small.url, cart(agent="x" * 20_000)).status == 413
        assert (small.requests()[0].outcome, small.requests()[0].status) == ("too_large", 413)


def test_other_methods_and_paths_are_refused_and_counted_elsewhere(sandbox: Sandbox) -> None:
    assert send(sandbox.url, "GET", "/api/customer-cart").status == 405
    assert send(sandbox.url, "POST", "/login").status == 404
    assert (sandbox.state().elsewhere, sandbox.state().requests) == (2, 0)


def test_without_a_set_of_keys_any_key_will_do_but_none_is_refused() -> None:
    with Sandbox() as open_to_all:
        assert post(open_to_all.url, cart(key="sk_fake_any")).json == SUCCESS
        assert error("Invalid API key") == post(open_to_all.url, cart(key="")).json


def test_one_connection_carries_many_requests(sandbox: Sandbox) -> None:
    with connection(sandbox.url) as kept:
        kept.connect()
        opened = kept.sock
        for n in range(20):
            body = urlencode(cart(id=str(n)))
            assert ask(kept, "POST", "/api/customer-cart", body, **{"Content-Type": FORM}).json == SUCCESS
        assert opened is kept.sock
    assert sandbox.state().records == 20


def test_thirty_two_clients_at_once_lose_nothing(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"latency": 20}])
    with SyncClientBuilder().build() as client, ThreadPoolExecutor(32) as pool:

        def one(n: int) -> int:
            request = client.post(f"{sandbox.url}/api/customer-cart").form(list(cart(id=str(n % 100)).items()))
            return request.build().send().status

        assert {200} == set(pool.map(one, range(800)))
    state = sandbox.state()
    assert (state.requests, state.applied, state.records, state.in_flight) == (800, 800, 100, 0)
    assert 1 < state.max_in_flight <= 32
    assert list(range(1, 801)) == [seen.seq for seen in sandbox.requests()]


@pytest.mark.skipif(not VECTORS.exists(), reason="no form vectors")
def test_every_form_of_the_vectors_is_accepted() -> None:
    with Sandbox() as sandbox:
        for case in json.loads(VECTORS.read_text()):
            body = urlencode([("key", KEY), *map(tuple, case["form"])])
            assert post(sandbox.url, body, case["path"].rpartition("-")[2]).json == SUCCESS, case["name"]
