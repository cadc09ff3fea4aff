"""The big run: a backlog of a million events over 20,000 carts, read again after a reset. By hand:

python -m tests.ops.replay.million [--events 1000000] [--ids 20000]

It fetches a Kafka, as the integration tests do, and takes some minutes. Prints counts and times; exits with 1 if a
cart does not end in its newest state, or more than 1.1 requests a cart are made.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click
from kafka import KafkaProducer

from tests.brokers.kafka import KafkaCluster
from tests.brokers.tools import committed, end_offsets, group_state, wait_until
from tests.integration.events import cart, version
from tests.integration.process import KEY, worker
from worker.cli import cli
from worker.sandbox.api import Sandbox

TOPIC, GROUP, PARTITIONS = "shop.carts", "replay-million", 6


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--ids", type=int, default=20_000)
    sizes = parser.parse_args()
    with KafkaCluster() as cluster, Sandbox(keys={KEY}) as api:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
            "KAFKA_TOPICS": TOPIC,
            "KAFKA_GROUP_ID": GROUP,
            "OPTICO_URL": api.url,
            "OPTICO_API_KEY": KEY,
        }
        cluster.create_topic(TOPIC, PARTITIONS)
        with timed(f"produced {sizes.events:,} events of {sizes.ids:,} carts"):
            produce(cluster.bootstrap, sizes.events, sizes.ids)
        group_state(cluster.bootstrap, GROUP)  # a new cluster has no coordinator until it was asked for one
        replay(settings, "--to-latest", "--execute")
        replay(settings, "--to-earliest", "--execute")
        with worker(**settings) as w, timed("read, collapsed, sent and committed the backlog"):
            ends = end_offsets(cluster.bootstrap, TOPIC)
            wait_until(lambda: committed(cluster.bootstrap, GROUP, TOPIC) == ends, "committed = log end", 1800)
            named = ("consumed", "collapsed", "delivered")
            counts = [f"{w.total(f'events_{what}_total'):,.0f} {what}" for what in named]
            click.echo(f"  the worker's events: {', '.join(counts)}")
            w.stop()
        reset = verdict(api, "reset", sizes.events, sizes.ids)
        api.reset()
        with timed("replayed alongside, without a limit"):
            replay(settings, "--alongside", "--from", "earliest", "--max-requests-per-second", "0")
        return 0 if verdict(api, "alongside", sizes.events, sizes.ids) and reset else 1


def produce(bootstrap: str, events: int, ids: int) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks=1, linger_ms=50, batch_size=256 * 1024)
    for number in range(1, events + 1):
        record = cart(str(number % ids), number)
        producer.send(TOPIC, key=record.key, value=record.value)
    producer.flush(120)
    producer.close()


def verdict(api: Sandbox, way: str, events: int, ids: int) -> bool:
    """Prints the counts; whether they are right."""
    newest = {str(number % ids): number for number in range(max(1, events - ids + 1), events + 1)}
    held = {record.id: version(record.params) for record in api.records()}
    requests = api.state().requests
    right = held == newest
    states = "all carts are in their newest state" if right else "NOT all carts are in their newest state"
    click.echo(f"{way}: {requests:,} requests, {requests / ids:.3f} a cart; {states}")
    return right and requests <= 1.1 * ids


def replay(settings: Mapping[str, str], *arguments: str) -> None:
    """The command, in this process."""
    os.environ.update(settings)
    click.echo(" ".join(("$ optico-worker replay", *arguments)))
    cli(["replay", *arguments], standalone_mode=False)


@contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    click.echo(f"{what}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
