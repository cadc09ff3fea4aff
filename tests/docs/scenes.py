"""What stands around the commands of a page before the first of them is run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.brokers.kafka import Topics
from tests.brokers.tools import Record, committed, end_offsets, produce, wait_until
from tests.docs.stand import Stand
from tests.integration.events import VISIT, cart, order

Scene = Callable[[Stand, Topics], None]

TOPIC, LETTERS, GROUP = "shop.carts", "shop.carts.dlq", "optico-worker"
TOPICS = (TOPIC, LETTERS)
#: The pages' morning.
EIGHT = int(datetime(2024, 11, 21, 8, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000
UNKNOWN = "0123456789abcdef01234567"


def bare(_: Stand, __: Topics) -> None:
    """Brokers, and nothing else."""


def topics(stand: Stand, kafka: Topics) -> None:
    """Some carts to read; the page exports what is needed but for the API's stand-in."""
    kafka.create_topic(TOPIC, 3)
    kafka.create_topic(LETTERS)
    stand.export(OPTICO_URL=stand.api.url)


def traffic(stand: Stand, kafka: Topics) -> None:
    """The same with some carts in it."""
    topics(stand, kafka)
    produce(stand.bootstrap, TOPIC, [replace(cart(str(number)), partition=number % 3) for number in range(30)])


def configured(stand: Stand, kafka: Topics) -> None:
    """The variables are set, no worker runs."""
    topics(stand, kafka)
    stand.export(
        KAFKA_BOOTSTRAP_SERVERS=stand.bootstrap,
        KAFKA_TOPICS=TOPIC,
        KAFKA_DLQ_TOPIC=LETTERS,
        OPTICO_URL=stand.api.url,
        OPTICO_API_KEY_FILE=str(stand.key_file),
    )


def commands(stand: Stand, kafka: Topics) -> None:
    """A file with an event that is sent, one that is skipped, and one that is rejected; and letters to look at."""
    configured(stand, kafka)
    lamp = {"id": 17, "name": "Desk lamp", "quantity": 2, "price": 49.9, "details": {"color": "red"}}
    events = [
        cart("42", products=[lamp]),
        cart("43", products=[]),
        order("1001", products=[lamp | {"price": "a lot"}]),
    ]
    _write(stand.folder / "events.jsonl", events)
    produce(stand.bootstrap, TOPIC, [replace(event, partition=0) for event in events])
    stand.type_in("optico-worker run")
    _wait_committed(stand)


def dead_letters(stand: Stand, kafka: Topics) -> None:
    """Two carts of visits that the API does not know yet, one of which changes later, and one that is broken."""
    configured(stand, kafka)
    stand.export(OPTICO_MAX_CONCURRENCY="1", WORKER_COLLAPSE_WINDOW_MS="0")
    stand.api.set_unknown_visits([UNKNOWN])
    broken = cart("43", products="none")
    rejected = [cart("41", visit_id=UNKNOWN), cart("42", visit_id=UNKNOWN), broken]
    produce(stand.bootstrap, TOPIC, [replace(event, partition=0) for event in rejected])
    stand.type_in("optico-worker run")
    wait_until(lambda: end_offsets(stand.bootstrap, LETTERS)[0] == 3, "the letters", 30)
    stand.api.set_unknown_visits([])
    produce(stand.bootstrap, TOPIC, [replace(cart("42", 2), partition=0)])


def history(stand: Stand, kafka: Topics) -> None:
    """A morning's events, which the worker has sent; of one cart the API does not know the visit."""
    configured(stand, kafka)
    stand.export(OPTICO_MAX_REQUESTS_PER_SECOND="0")
    stand.api.set_unknown_visits([UNKNOWN])
    records = []
    for number in range(900):
        id_ = number % 200
        event = cart(str(id_), 1 + number // 200, visit_id=UNKNOWN if id_ == 115 else VISIT)
        time = EIGHT - 60 * MINUTE + number * MINUTE // 5
        records.append(replace(event, timestamp=time, partition=id_ % 3))
    produce(stand.bootstrap, TOPIC, records)
    stand.type_in("optico-worker run")
    _wait_committed(stand)


def stopped(stand: Stand, kafka: Topics) -> None:
    """The same, and the worker has ended."""
    history(stand, kafka)
    assert stand.stop_lasting() == [0]


def operated(stand: Stand, kafka: Topics) -> None:
    """A worker that runs."""
    configured(stand, kafka)
    produce(stand.bootstrap, TOPIC, [replace(cart(str(number)), partition=number % 3) for number in range(20)])
    stand.type_in("optico-worker run")
    _wait_committed(stand)


def key_refused(stand: Stand, kafka: Topics) -> None:
    """The worker's key is taken no more, and it has noticed."""
    operated(stand, kafka)
    stand.api.set_keys(["sk_fake_new"])
    produce(stand.bootstrap, TOPIC, [cart(str(number), 2) for number in range(20)])
    page = 'curl -s localhost:9464/metrics | grep \'sending_paused{entity="cart",reason="invalid_api_key"} 1\''
    wait_until(lambda: stand.on_a_terminal(page).code == 0, "the key to be refused", 30)


def steered(stand: Stand, kafka: Topics) -> None:
    """For the sandbox's page: what the page's worker needs besides."""
    topics(stand, kafka)
    stand.export(KAFKA_BOOTSTRAP_SERVERS=stand.bootstrap, KAFKA_TOPICS=TOPIC)


#: By page, or by section where a section stands for itself.
SCENES: Mapping[str, Scene] = {
    "README.md": topics,
    "docs/quickstart.md": bare,
    "docs/quickstart.md#against-your-cluster": traffic,
    "docs/commands.md": commands,
    "docs/configuration.md": topics,
    "docs/dead-letters.md": dead_letters,
    "docs/operations.md": operated,
    "docs/operations.md#a-new-api-key": key_refused,
    "docs/operations.md#saving-and-restoring-offsets": stopped,
    "docs/replay.md": history,
    "docs/replay.md#kafkas-own-tool": stopped,
    "docs/sandbox.md": steered,
}


def _write(path: Path, events: list[Record]) -> None:
    path.write_text("".join(f"{json.dumps(json.loads(event.value or b''))}\n" for event in events))


def _wait_committed(stand: Stand) -> None:
    ends = end_offsets(stand.bootstrap, TOPIC)
    wait_until(lambda: committed(stand.bootstrap, GROUP, TOPIC) == ends, "committed = log end", 40)
