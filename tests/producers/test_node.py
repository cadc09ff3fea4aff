"""The page's Node producer in a small shop, on a real Kafka."""

import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.conftest import TopicFactory
from tests.producers import page
from tests.producers.judge import PARTITIONS, Written
from tests.producers.tools import HERE

VISIT = "3617898c651df0f8617f70a0"


@pytest.fixture
def folder(node_modules: Path, tmp_path: Path) -> Path:
    """A shop's: its own code, the page's, and the packages."""
    page.write(tmp_path, "events.mjs")
    (tmp_path / "shop.mjs").write_text((HERE / "node" / "shop.mjs").read_text("utf-8"), "utf-8")
    (tmp_path / "node_modules").symlink_to(node_modules)
    return tmp_path


def run(node: str, folder: Path, *arguments: str, program: str = "shop.mjs") -> str:
    """What went to standard error; the process must have ended well."""
    done = subprocess.run(
        [node, program, *arguments], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_each_state_is_written_with_its_key_and_visit(
    node: str, folder: Path, kafka: KafkaCluster | ExternalCluster, topic: TopicFactory
) -> None:
    name = topic(PARTITIONS)

    assert "was not written" not in run(node, folder, kafka.bootstrap, name)

    written = Written.to(kafka.bootstrap, name, folder)
    written.must_follow_the_rules()
    assert written.outcomes("cart:42")[-1] == ("skipped", "empty_products")
    assert written.outcomes("cart:43") == [("skipped", "no_visit")]
    one, two = written.of("cart:42")
    assert (one["visit_id"], one["is_logged_in"], one["products[0][details][Size]"]) == (VISIT, "0", "Large")
    assert ("products[1][id]" in one, two["products[1][price]"]) == (False, "19.99")
    orders = written.of("order:1001")
    assert [(order["status"], "products[1][id]" in order) for order in orders] == [
        ("Open", True),
        ("Completed", True),
        ("Completed", False),
    ]
    assert {(order["visit_id"], order["cart_id"]) for order in orders} == {(VISIT, "42")}


#: Two states of a cart, written without retries: node quick.mjs BROKERS TOPIC
QUICK = """
import { Events } from "./events.mjs";
const [brokers, topic] = process.argv.slice(2);
const events = new Events(brokers.split(","), topic, { retry: { retries: 0 }, logLevel: 0 });
await Promise.all([1, 2].map((n) => events.write({ type: "cart", id: "42", n })));
console.log("the shop goes on");
await events.close();
"""


def test_a_write_that_fails_is_logged_and_the_shop_goes_on(node: str, folder: Path) -> None:
    """Without retries, so that the test need not wait for them."""
    (folder / "quick.mjs").write_text(QUICK)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        started = time.monotonic()
        said = run(node, folder, f"127.0.0.1:{nobody.getsockname()[1]}", "topic", program="quick.mjs")

    assert said.count("cart:42 was not written: ") == 2
    assert time.monotonic() - started < 10
