"""Intake against the bare client, delivery against concurrency ÷ latency, memory: medians of several rounds.

python -m tests.bench [--rounds 3] [--json FILE]
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.bare import PARTITIONS
from tests.brokers.kafka import KafkaCluster
from tests.brokers.tools import produce, wait_until
from tests.integration.events import cart
from tests.integration.process import KEY, WorkerProcess, worker
from worker.sandbox.api import Sandbox

HOT_EVENTS, HOT_IDS = 200_000, 200
DISTINCT_EVENTS = 6_000
CONCURRENCY, LATENCY_MS = 32, 50
PRODUCTS = [{"id": n, "name": f"Product {n}", "quantity": 2, "price": 29.99} for n in (1, 2)]


class Bench:
    """One broker and one API for all rounds."""

    def __init__(self, kafka: KafkaCluster, api: Sandbox) -> None:
        self.kafka, self.api = kafka, api
        self.groups = 0

    def prepare(self) -> None:
        self.kafka.create_topic("hot", PARTITIONS)
        produce(
            self.kafka.bootstrap,
            "hot",
            (cart(str(n % HOT_IDS), products=PRODUCTS) for n in range(HOT_EVENTS)),
        )
        self.kafka.create_topic("distinct", PARTITIONS)
        produce(self.kafka.bootstrap, "distinct", (cart(str(n), products=PRODUCTS) for n in range(DISTINCT_EVENTS)))

    @contextmanager
    def running(self, topic: str) -> Iterator[WorkerProcess]:
        self.groups += 1
        with worker(
            KAFKA_BOOTSTRAP_SERVERS=self.kafka.bootstrap,
            KAFKA_TOPICS=topic,
            KAFKA_GROUP_ID=f"bench-{self.groups}",
            OPTICO_URL=self.api.url,
            OPTICO_MAX_CONCURRENCY=str(CONCURRENCY),
            WORKER_COLLAPSE_WINDOW_MS="500",
        ) as process:
            yield process
            assert process.stop() == 0

    def bare(self) -> float:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.bench.bare", self.kafka.bootstrap, "hot", str(HOT_EVENTS)],
            capture_output=True,
            text=True,
            check=True,
        )
        return float(ended.stdout)

    def intake(self) -> tuple[float, float]:
        """Events a second, and the resident memory afterwards (MB)."""
        self.api.clear_faults()
        with self.running("hot") as process:
            rate = self._rate(lambda: process.total("events_consumed_total"), HOT_EVENTS)
            wait_until(lambda: process.metrics()["pending_entities"] == 0, "all to be sent", 60)
            return rate, _resident_mb(process.pid)

    def delivery(self) -> float:
        """Requests a second with an API that takes 50 ms."""
        self.api.set_faults([{"latency": LATENCY_MS}])
        self.api.reset()
        with self.running("distinct"):
            return self._rate(lambda: self.api.state().requests, DISTINCT_EVENTS)

    @staticmethod
    def _rate(count: Callable[[], float], until: int) -> float:
        """From the first look that finds some to the last."""
        first = wait_until(count, "the first", 60)
        started = time.perf_counter()
        while (now := count()) < until:
            time.sleep(0.25)  # each look is a scrape, which costs the worker some milliseconds
        return (now - first) / (time.perf_counter() - started)


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    rounds: list[dict[str, float]] = []
    with KafkaCluster() as kafka, Sandbox(keys={KEY}, counting_only=True) as api:
        bench = Bench(kafka, api)
        console.print(f"writing {HOT_EVENTS + DISTINCT_EVENTS:,} events")
        bench.prepare()
        for number in range(1, options.rounds + 1):
            bare, (intake, memory), delivery = bench.bare(), bench.intake(), bench.delivery()
            rounds.append({"bare": bare, "intake": intake, "memory": memory, "delivery": delivery})
            console.print(f"round {number}: {json.dumps({name: round(value) for name, value in rounds[-1].items()})}")
    possible = CONCURRENCY * 1000 / LATENCY_MS
    median = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    ratio = statistics.median(row["intake"] / row["bare"] for row in rounds)
    table = Table(
        "what", "measured", "limit", "ratio", title=f"{os.cpu_count()} cores, Python {platform.python_version()}"
    )
    table.add_row(
        "intake, events/s", f"{median['intake']:,.0f}", f"{median['bare']:,.0f} (poll + orjson)", f"{ratio:.2f}"
    )
    table.add_row(
        f"delivery, requests/s ({CONCURRENCY} senders, {LATENCY_MS} ms)",
        f"{median['delivery']:,.0f}",
        f"{possible:,.0f} (senders ÷ latency)",
        f"{median['delivery'] / possible:.2f}",
    )
    table.add_row("memory after the hot topic, MB", f"{median['memory']:,.0f}", "-", "-")
    console.print(table)
    if options.json is not None:
        options.json.write_text(json.dumps({"rounds": rounds, "median": median, "intake_ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
