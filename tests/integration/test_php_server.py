"""Large carts before a real PHP with its default limits: what arrives there, and that nothing stops for them."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.brokers.tools import Record, wait_until
from tests.conftest import absent
from tests.integration.conftest import Stage
from tests.integration.process import KEY, worker

Stages = Callable[..., Stage]

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
API = Path(__file__).parent / "php" / "api.php"
#: Carts by what is said of them: lines, and characters of details of each.
CARTS = {
    "10 lines": (10, 0),
    "248 lines": (248, 0),
    "249 lines": (249, 0),
    "250 lines": (250, 0),
    "400 lines": (400, 0),
    "5,000 lines": (5000, 0),
    "5,000 lines of 2,000 characters, 10 MB": (5000, 2000),
}
ORDINARY = 50


@dataclass
class PhpServer:
    """PHP's own server. `seen`: by id, what arrived last."""

    url: str
    log: Path

    def seen(self) -> dict[str, Any]:
        requests = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return {request["id"]: request for request in requests}


@contextmanager
def php_server(port: int) -> Iterator[PhpServer]:
    php = shutil.which("php")
    if php is None:
        absent("missing: php (Debian: apt-get install php-cli)")
    with tempfile.TemporaryDirectory() as folder:
        log, url = Path(folder) / "seen", f"http://127.0.0.1:{port}"
        settings = os.environ | {"SEEN": str(log), "KEY": KEY, "PHP_CLI_SERVER_WORKERS": "4"}
        command = [php, "-n", "-d", "display_errors=0", "-S", f"127.0.0.1:{port}", str(API)]
        with subprocess.Popen(command, env=settings, stderr=subprocess.DEVNULL, start_new_session=True) as server:
            try:
                wait_until(lambda: _answers(url), "PHP's server", 20)
                log.unlink()
                yield PhpServer(url, log)
            finally:
                os.killpg(server.pid, 9)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=30):  # noqa: S310
            return True
    except (URLError, OSError):
        return False


def large(name: str) -> Record:
    lines, characters = CARTS[name]
    products: list[dict[str, Any]] = [
        {
            "id": at,
            "name": f"Article {at}",
            "quantity": -1 if at % 50 == 7 else 1 + at % 3,
            "price": round(0.1 + at / 100, 2),
        }
        for at in range(lines)
    ]
    for product in products if characters else ():
        product["details"] = {"text": "x" * characters}
    return _cart(name, products)


def ordinary(number: int) -> Record:
    return _cart(f"ordinary {number}", [{"id": 1, "name": "Mug", "quantity": 1, "price": 5}])


def _cart(id_: str, products: list[dict[str, Any]]) -> Record:
    event = {"type": "cart", "id": id_, "currency": "EUR", "visit_id": "v", "is_logged_in": 0, "products": products}
    return Record(f"cart:{id_}".encode(), json.dumps(event).encode())


def total(lines: list[tuple[Any, str, str]]) -> Decimal:
    return sum((Decimal(quantity) * Decimal(price) for _, quantity, price in lines), Decimal(0))


def rows(seen: Mapping[str, Any]) -> list[str]:
    """The page's table: what PHP read of each cart."""
    result = ["| cart | fields that PHP reads | lines that the agent sees | their sum |", "|---|---|---|---|"]
    for name in CARTS:
        lines = seen[name]["lines"]
        rest = lines[-1][0] if lines[-1][0].startswith("+") else ""
        shown = f"{len(lines) - 1:,} and `{rest}`" if rest else f"{len(lines):,}"
        result.append(f"| {name} | {seen[name]['fields']:,} | {shown} | {total(lines):,} |")
    return result


def test_carts_of_any_size_arrive_with_their_sum_and_hold_nobody_up(stage: Stages, free_port: int) -> None:
    """Nothing is refused, nothing pauses, and the ordinary carts among them arrive as well."""
    s = stage()
    records = [ordinary(number) for number in range(ORDINARY)]
    for at, name in enumerate(CARTS):
        records.insert(at * 7, large(name))
    with php_server(free_port) as php, worker(**s.settings(OPTICO_URL=php.url)) as w:
        s.produce(records, compression="gzip", max_request_size=20_000_000)
        s.wait_all_committed()
        metrics, seen = w.metrics(), php.seen()
        assert w.stop() == 0
    assert {f"ordinary {number}" for number in range(ORDINARY)} <= set(seen)
    for name in CARTS:
        products = json.loads(large(name).value or b"")["products"]
        expected = [(None, str(product["quantity"]), str(product["price"])) for product in products]
        assert total(seen[name]["lines"]) == total(expected), name
    assert metrics["requests_total{entity=cart,outcome=delivered}"] == len(records)
    assert sum(value for name, value in metrics.items() if name.startswith(("retries_total", "events_rejected"))) == 0
    assert metrics["events_repaired_total{repair=too_large}"] == sum(lines > 248 for lines, _ in CARTS.values())
    table = re.search(r"<!-- php-run -->\n\n(.*?)\n\n<!-- end of php-run -->", PAGE.read_text(), re.DOTALL)
    assert table is not None, "\n".join(rows(seen))
    assert table[1].splitlines() == rows(seen), "\n".join(rows(seen))


def test_without_a_limit_php_drops_lines_but_never_the_key(stage: Stages, free_port: int) -> None:
    """What the limit is for, and why the key goes first."""
    s = stage()
    with php_server(free_port) as php, worker(**s.settings(OPTICO_URL=php.url, OPTICO_MAX_FIELDS="0")) as w:
        s.produce([large("400 lines")])
        s.wait_all_committed()
        delivered, seen = w.metrics()["requests_total{entity=cart,outcome=delivered}"], php.seen()
        assert w.stop() == 0
    assert delivered == 1
    assert len(seen["400 lines"]["lines"]) < 250
