"""The outbox table of the page: its SQL is run, and its rows are written as its connector's configuration routes them.

Debezium is not run. `route` does what its outbox event router does with an inserted row under the options that the page
sets, and refuses to guess what another option or converter would do.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Record, produce
from tests.conftest import TopicFactory
from tests.producers import page
from tests.producers.judge import PARTITIONS, Written

_ROUTER = "transforms.outbox."
_AS_IT_STANDS = "org.apache.kafka.connect.storage.StringConverter"
_OPTIONS = {"type", "table.field.event.key", "table.field.event.payload", "route.topic.replacement"}


def configuration() -> Any:
    return json.loads(page.files()["connector.json"])["config"]


def rows() -> list[Mapping[str, str]]:
    """What the log of a database with the page's table holds after the page's change: insertions, deleted or not."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as shop:
        shop.row_factory = sqlite3.Row
        shop.executescript("CREATE TABLE carts (id integer, quantity integer);" + page.files()["outbox.sql"])
        columns = [row["name"] for row in shop.execute("PRAGMA table_info(optico_outbox)")]
        shop.execute("CREATE TABLE log AS SELECT * FROM optico_outbox")
        new = ", ".join(f"NEW.{name}" for name in columns)
        shop.execute(
            f"CREATE TRIGGER logged AFTER INSERT ON optico_outbox BEGIN INSERT INTO log VALUES ({new}); END"  # noqa: S608
        )
        shop.executescript(page.files()["change.sql"])
        assert list(shop.execute("SELECT * FROM optico_outbox")) == []
        return [dict(row) for row in shop.execute("SELECT * FROM log")]


def route(row: Mapping[str, str], config: Mapping[str, str]) -> Record:
    """The record that the router makes of an inserted row; its topic is not in it."""
    options = {name.removeprefix(_ROUTER): value for name, value in config.items() if name.startswith(_ROUTER)}
    assert set(options) == _OPTIONS
    assert (config["key.converter"], config["value.converter"]) == (_AS_IT_STANDS, _AS_IT_STANDS)
    assert "$" not in options["route.topic.replacement"], "one topic, whatever the row says"
    key, payload = row[options["table.field.event.key"]], row[options["table.field.event.payload"]]
    return Record(key.encode(), payload.encode(), headers=(("id", row["id"].encode()),))


def test_what_the_router_writes_follows_the_rules(
    kafka: KafkaCluster | ExternalCluster, topic: TopicFactory, tmp_path: Path
) -> None:
    name = topic(PARTITIONS)

    produce(kafka.bootstrap, name, [route(row, configuration()) for row in rows()])

    written = Written.to(kafka.bootstrap, name, tmp_path)
    written.must_follow_the_rules()
    assert [cart["products[0][quantity]"] for cart in written.of("cart:42")] == ["2"]


def test_the_connector_is_for_the_table_and_reads_no_secret_from_the_page() -> None:
    config = configuration()

    assert config["table.include.list"].rpartition(".")[2] in page.files()["outbox.sql"]
    assert config["database.password"].startswith("${file:")


def test_a_column_that_the_table_lacks_is_found() -> None:
    wrong = configuration() | {"transforms.outbox.table.field.event.key": "aggregate"}

    with pytest.raises(KeyError, match="aggregate"):
        route(rows()[0], wrong)
