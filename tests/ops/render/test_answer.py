"""What is said of a record of a topic beside its request."""

from dataclasses import replace

import pytest

from tests.formats.events import PLAIN, cart, order, value
from worker.formats import ReadConfig
from worker.ops.render import Source, rendered

FRENCH = replace(PLAIN, id_prefix="fr-")


def record(event: object, key: bytes | None, timestamp: int = -1) -> Source:
    return Source("carts-0-7", value(event), key, timestamp, has_key=True)


@pytest.mark.parametrize("config", [PLAIN, FRENCH], ids=["without a prefix", "with a prefix"])
def test_a_key_that_is_not_the_entity_is_warned_about(config: ReadConfig) -> None:
    assert rendered(record(cart(), b"cart:42"), config)["warning"] is None
    assert rendered(record(order(), b"order:1001"), config)["warning"] is None
    for key, said in [(b"42", "another key"), (b"cart:43", "another key"), (None, "no key"), (b"", "no key")]:
        warning = rendered(record(cart(), key), config)["warning"]
        assert warning == f"the record has {said}; producers should write it with the key cart:42"


def test_a_line_of_a_file_has_no_key_to_warn_about() -> None:
    assert rendered(Source("line 1", value(cart())), PLAIN)["warning"] is None


def test_the_records_timestamp_counts() -> None:
    event = cart(occurred_at=1_795_251_700)
    assert rendered(record(event, b"cart:42", 1_795_251_600_000), PLAIN)["repairs"] == ["optional_field"]
    assert rendered(record(event, b"cart:42", 1_795_251_650_000), PLAIN)["repairs"] == []
    strict = rendered(record(event, b"cart:42", 1_795_251_600_000), PLAIN, strict=True)
    assert strict["strict"] == "optional_field (occurred_at)"


def test_a_tombstone_is_skipped_and_as_it_should_be() -> None:
    answer = rendered(Source("carts-0-7", None, b"cart:42", has_key=True), PLAIN, strict=True)
    assert (answer["outcome"], answer["reason"], answer["strict"]) == ("skipped", "tombstone", None)
