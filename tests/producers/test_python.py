"""The page's Python producer, on a real Kafka."""

import importlib.util
import socket
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.conftest import TopicFactory
from tests.producers import page
from tests.producers.judge import PARTITIONS, Written

VISIT = "3617898c651df0f8617f70a0"


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    """The page's module."""
    page.write(tmp_path, "events.py")
    spec = importlib.util.spec_from_file_location("events_of_the_page", tmp_path / "events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_state_is_written_with_its_key_and_visit(
    shop: Any, kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, tmp_path: Path
) -> None:
    name = topic(PARTITIONS)
    events = shop.Events(kafka.bootstrap, name)
    trousers = shop.product("31", "Corduroy trousers", 2, Decimal("30.00"), {"Size": "Large"})
    gift = shop.product("32", "L'été, 12 €", 1, Decimal("0.1") + Decimal("0.2"))
    visit = shop.visit_of({"optico_visit_id": VISIT})

    events.write(shop.cart_event("42", "EUR", [trousers], visit, is_logged_in=False))
    events.write(shop.cart_event("42", "EUR", [trousers, gift], visit, is_logged_in=False))
    events.write(shop.cart_event("42", "EUR", [], visit, is_logged_in=False))
    events.write(shop.cart_event("43", "EUR", [gift], shop.visit_of({"optico_visitId": ""}), is_logged_in=True))
    for status in ("Open", "Completed"):
        events.write(shop.order_event("1001", "42", "EUR", [trousers, gift], visit, status=status))
    events.close()

    written = Written.to(kafka.bootstrap, name, tmp_path)
    written.must_follow_the_rules()
    assert [outcome for outcome, _ in written.outcomes("cart:42")] == ["sent", "sent", "skipped"]
    assert written.of("cart:42")[1]["products[1][price]"] == "0.3"
    assert written.outcomes("cart:43") == [("skipped", "no_visit")]
    orders = written.of("order:1001")
    assert [order["status"] for order in orders] == ["Open", "Completed"]
    assert {(order["visit_id"], order["products[0][details][Size]"]) for order in orders} == {(VISIT, "Large")}


_AWAY = """
import sys
from events import Events, cart_event
events = Events(*sys.argv[1:])
events.write(cart_event("42", "EUR", [], None, is_logged_in=False))
print("the shop goes on")
events.close()
"""


def run(folder: Path, program: str, *arguments: str) -> str:
    """What went to standard error; the process, beside the page's module, must have ended well."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_shop_starts_and_goes_on_where_kafka_is_away(tmp_path: Path) -> None:
    """In a process of its own: kafka-python leaves sockets open when it cannot connect."""
    page.write(tmp_path, "events.py")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        started = time.monotonic()
        said = run(tmp_path, _AWAY, f"127.0.0.1:{nobody.getsockname()[1]}", "topic")

    assert "cart:42 was not written" in said
    assert time.monotonic() - started < 15
