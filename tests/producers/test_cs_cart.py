"""The CS-Cart add-on of the page, run by PHP in a shop that calls its hooks as CS-Cart does, on a real Kafka."""

import json
import re
import socket
import subprocess
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.conftest import TopicFactory
from tests.producers import page
from tests.producers.judge import PARTITIONS, Written
from tests.producers.tools import HERE

VISIT, OTHER_VISIT = "3617898c651df0f8617f70a0", "aaaabbbbccccddddeeeeffff"
GUEST = "3810267128"
TROUSERS = {"product_id": "31", "amount": "2", "price": 30.0, "product_options": {"3": "12"}}
ENGRAVED = {"product_id": "32", "amount": 1, "price": 0.1 + 0.2, "product_options": {"4": "Anna", "5": "2026"}}


@dataclass
class Shop:
    """A shop with the add-on. Each call of `visit` or `back_office` is one request, and so a process of its own."""

    php: str
    folder: Path
    servers: str
    topic: str
    milliseconds: int  # many, but where that is the point: the tests' machine may be busy

    def __post_init__(self) -> None:
        page.write(self.folder, "addon.xml", "init.php", "func.php")
        self.state = self.folder / "state.json"
        self.state.write_text(json.dumps({"session": {}, "orders": {}}))

    def visit(self, *calls: tuple[str, list[Any]], **cookies: Any) -> str:
        return self._request("C", cookies, calls)

    def back_office(self, *calls: tuple[str, list[Any]], **cookies: Any) -> str:
        return self._request("A", cookies, calls)

    def written(self) -> Written:
        return Written.to(self.servers, self.topic, self.folder)

    def _request(self, area: str, cookies: dict[str, Any], calls: tuple[tuple[str, list[Any]], ...]) -> str:
        """What went to PHP's error log; the page itself must always come."""
        kafka = {"bootstrap.servers": self.servers}
        config = {"topic": self.topic, "milliseconds": self.milliseconds, "kafka": kafka}
        request = {"area": area, "cookies": cookies, "config": config, "calls": calls}
        done = subprocess.run(
            [self.php, "-d", "display_errors=0", "-d", "log_errors=1", "-d", "error_log=", *self._command()],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "the page"), done.stderr
        return "\n".join(line for line in done.stderr.splitlines() if "optico_events" in line or "PHP" in line)

    def _command(self) -> list[str]:
        return [str(HERE / "cs_cart" / "shop.php"), str(self.folder), str(self.state)]


class Opening(Protocol):
    """Opens a shop on the tests' broker, or with something else in its configuration."""

    def __call__(self, servers: str = ..., topic: str = ..., milliseconds: int = ...) -> Shop: ...


@pytest.fixture
def open_shop(php: str, kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, tmp_path: Path) -> Opening:
    name, bootstrap = topic(PARTITIONS), kafka.bootstrap

    def opened(servers: str = bootstrap, topic: str = name, milliseconds: int = 10_000) -> Shop:
        return Shop(php, tmp_path, servers, topic, milliseconds)

    return opened


def cart(*products: dict[str, Any]) -> dict[str, Any]:
    return {"products": {str(1822274 + number): product for number, product in enumerate(products)}}


def test_a_cart_is_written_whole_at_every_change(open_shop: Opening) -> None:
    shop = open_shop()

    assert shop.visit(("save_cart", [cart(TROUSERS), 33]), optico_visitId=VISIT) == ""
    assert shop.visit(("save_cart", [cart(TROUSERS, ENGRAVED), 33]), optico_visit_id=VISIT) == ""

    written = shop.written()
    written.must_follow_the_rules()
    first, second = written.of("cart:33")
    assert (first["visit_id"], first["is_logged_in"], first["currency"]) == (VISIT, "1", "EUR")
    assert first["products[0][name]"] == "Corduroy trousers"
    assert first["products[0][details][Size]"] == "Large"
    assert (second["products[0][quantity]"], second["products[0][price]"]) == ("2", "30")
    assert (second["products[1][quantity]"], second["products[1][price]"]) == ("1", "0.3")
    assert second["products[1][name]"] == "L'été, 12 €"
    assert [second[f"products[1][details][Engraving][{n}]"] for n in (0, 1)] == ["Anna", "2026"]


def test_an_order_keeps_its_visit_where_there_is_no_visitors_cookie(open_shop: Opening) -> None:
    """Placed by the visitor; later changes come from the back office, whose browser has a visit of its own or none."""
    shop = open_shop()

    shop.visit(("save_cart", [cart(TROUSERS), 33]), optico_visitId=VISIT)
    shop.visit(("place_order", [cart(TROUSERS)["products"], 33]), optico_visitId=VISIT)
    shop.back_office(("change_status", ["1001", "P"]))
    shop.back_office(("edit_order", ["1001", cart(TROUSERS, ENGRAVED)["products"]]), optico_visitId=OTHER_VISIT)
    shop.back_office(("change_status", ["1001", "C"]), optico_visitId=OTHER_VISIT)

    written = shop.written()
    written.must_follow_the_rules()
    states = written.of("order:1001")
    assert [state["status"] for state in states] == ["O", "P", "P", "C"]
    assert {state["visit_id"] for state in states} == {VISIT}
    assert {state["cart_id"] for state in states} == {"33"}
    assert states[-1]["products[0][details][Size]"] == "Large"
    assert ["products[1][id]" in state for state in states] == [False, False, True, True]
    assert written.outcomes("cart:33")[-1] == ("skipped", "empty_products")


def test_an_order_that_waits_for_its_payment_is_written_when_it_is_paid(open_shop: Opening) -> None:
    """The payment's answer comes without any cookie."""
    shop = open_shop()

    shop.visit(("place_order", [cart(TROUSERS)["products"], 33, "N"]), optico_visitId=VISIT)
    assert "order:1001" not in shop.written().keys
    shop.visit(("change_status", ["1001", "P"]))

    written = shop.written()
    written.must_follow_the_rules()
    assert [(state["status"], state["visit_id"]) for state in written.of("order:1001")] == [("P", VISIT)]


def test_a_deleted_order_is_written_once_more(open_shop: Opening) -> None:
    shop = open_shop()

    shop.visit(("place_order", [cart(TROUSERS)["products"], 33]), optico_visitId=VISIT)
    shop.back_office(("delete_order", ["1001"]))

    written = shop.written()
    written.must_follow_the_rules()
    assert [(state["status"], state["visit_id"]) for state in written.of("order:1001")] == [("O", VISIT), ("N", VISIT)]


def test_a_guest_keeps_one_cart_id_through_the_order(open_shop: Opening) -> None:
    shop = open_shop()

    shop.visit(("save_cart", [cart(TROUSERS), 0]), optico_visitId=VISIT)
    shop.visit(("place_order", [cart(TROUSERS)["products"], 0]), optico_visitId=VISIT)
    shop.back_office(("place_order", [cart(TROUSERS)["products"], 0]), optico_visitId=OTHER_VISIT)

    written = shop.written()
    written.must_follow_the_rules()
    assert [state["is_logged_in"] for state in written.of(f"cart:{GUEST}")] == ["0"]
    assert [state["cart_id"] for state in written.of("order:1001")] == [GUEST]
    assert written.outcomes("order:1002") == [("skipped", "no_visit")], "an operator's visit is not the customer's"


def test_a_login_empties_the_guests_cart_once(open_shop: Opening) -> None:
    shop = open_shop()

    shop.visit(("save_cart", [cart(TROUSERS), 0]), optico_visitId=VISIT)
    shop.visit(("save_cart", [cart(TROUSERS), 33]), optico_visitId=VISIT)
    shop.visit(("save_cart", [cart(ENGRAVED), 33]), optico_visitId=VISIT)

    written = shop.written()
    written.must_follow_the_rules()
    assert [outcome for outcome, _ in written.outcomes(f"cart:{GUEST}")] == ["sent", "skipped"]
    assert [outcome for outcome, _ in written.outcomes("cart:33")] == ["sent", "sent"]


def test_without_consent_there_is_no_visit(open_shop: Opening) -> None:
    shop = open_shop()
    cookies: list[dict[str, Any]] = [{}, {"optico_visitId": ""}, {"optico_visitId": ["x"]}, {"optico_visitId": "<>"}]

    for user, found in enumerate(cookies, 1):
        assert shop.visit(("save_cart", [cart(TROUSERS), user]), **found) == ""

    written = shop.written()
    written.must_follow_the_rules()
    assert [event.get("visit_id") for event in written.values] == [None] * len(cookies)
    for user in range(1, len(cookies) + 1):
        assert written.outcomes(f"cart:{user}") == [("skipped", "no_visit")]


def test_nothing_of_the_customer_and_no_wish_list_is_written(open_shop: Opening) -> None:
    shop = open_shop()

    shop.visit(("save_cart", [cart(ENGRAVED), 33, "W"]), optico_visitId=VISIT)
    shop.visit(("place_order", [cart(TROUSERS)["products"], 33]), optico_visitId=VISIT)

    written = shop.written()
    said = b"".join(record.value or b"" for record in written.records)
    assert sorted(written.keys) == ["cart:33", "order:1001"]
    assert b"4111" not in said
    assert b"anna@" not in said


def test_a_line_that_the_shop_knows_little_of_is_still_valid(open_shop: Opening) -> None:
    """A product that was deleted since has no name."""
    shop = open_shop()

    shop.visit(("save_cart", [cart({"product_id": 99, "amount": "1", "price": "5"}), 33]), optico_visitId=VISIT)

    written = shop.written()
    written.must_follow_the_rules()
    assert written.of("cart:33")[0]["products[0][name]"] == "Product 99"


@pytest.mark.parametrize("listening", [False, True], ids=["refused", "silent"])
def test_a_page_comes_within_bounds_where_kafka_does_not_answer(open_shop: Opening, *, listening: bool) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        if listening:
            nobody.listen()
        shop = open_shop(servers=f"127.0.0.1:{nobody.getsockname()[1]}", milliseconds=500)
        started = time.monotonic()

        said = shop.visit(("save_cart", [cart(TROUSERS), 33]), optico_visitId=VISIT)

    assert time.monotonic() - started < 5
    assert "cart:33 was not written" in said


def test_a_page_comes_whatever_is_wrong_with_the_configuration(open_shop: Opening) -> None:
    shop = open_shop(topic="no topic's name")

    said = shop.visit(("save_cart", [cart(TROUSERS), 33]), optico_visitId=VISIT)

    assert "optico_events" in said


def test_the_files_that_are_not_run_are_well_formed(php: str, tmp_path: Path) -> None:
    page.write(tmp_path, "addon.xml", "config.local.php")
    root = ET.parse(tmp_path / "addon.xml").getroot()  # noqa: S314 - the project's own page

    assert root.findtext("id") == "optico_events"
    queries = {item.get("for"): str(item.text) for item in root.iter("item")}
    assert re.findall(r"ADD (\w+)", queries["install"]) == re.findall(r"DROP (\w+)", queries["uninstall"])
    code = f"$config = []; {page.files()['config.local.php']} echo json_encode($config['optico_events']);"
    shown = subprocess.run([php, "-r", code], capture_output=True, text=True, check=True).stdout
    assert set(json.loads(shown)) == {"topic", "milliseconds", "kafka"}
