"""A record that too few brokers have is not taken for written: only a producer with `acks=all` is told so."""

from pathlib import Path

from tests.brokers.tools import read_all
from tests.conftest import ClusterFactory
from tests.producers import page
from tests.producers.test_cs_cart import TROUSERS, VISIT, Shop, cart
from tests.producers.test_node import QUICK
from tests.producers.test_node import run as run_node
from tests.producers.test_python import run as run_python

_PYTHON = """
import sys
from events import Events, cart_event
events = Events(sys.argv[1], sys.argv[2], delivery_timeout_ms=1500, request_timeout_ms=1000)
events.write(cart_event("42", "EUR", [], None, is_logged_in=False))
events.close()
"""


def test_no_producer_takes_for_written_what_a_broker_lacks(
    kafka_cluster: ClusterFactory, php: str, node: str, node_modules: Path, tmp_path: Path
) -> None:
    """All three on one cluster, because one starts slowly. Its topics want three replicas; one of them is stopped."""
    cluster = kafka_cluster(3)
    for name in ("php", "node", "python"):
        cluster.create_topic(name, 1, 3, {"min.insync.replicas": "3"})
        (tmp_path / name).mkdir()
    page.write(tmp_path / "node", "events.mjs")
    (tmp_path / "node" / "node_modules").symlink_to(node_modules)
    (tmp_path / "node" / "quick.mjs").write_text(QUICK)
    page.write(tmp_path / "python", "events.py")
    servers = cluster.bootstrap
    cluster.stop(2)

    shop = Shop(php, tmp_path / "php", servers, "php", 2000)
    said = {
        "php": shop.visit(("save_cart", [cart(TROUSERS), 42]), optico_visitId=VISIT),
        "node": run_node(node, tmp_path / "node", servers, "node", program="quick.mjs"),
        "python": run_python(tmp_path / "python", _PYTHON, servers, "python"),
    }

    for name, text in said.items():
        assert "cart:42 was not written" in text, name
        assert read_all(servers, name) == [], name
