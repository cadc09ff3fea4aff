"""A request with a link to a call that its record lacks: as if the record said it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.formats.events import PLAIN, cart, envelope, order, product, value
from worker.formats import Limits, ReadConfig, encode

KEY = "fake-key"
Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("make", [cart, order])
def test_a_request_with_an_inherited_link_is_the_one_of_a_record_that_says_it(make: Make) -> None:
    said = encode(value(make(call_id=7, agent="Zoé")), PLAIN, KEY)
    assert encode(value(make()), PLAIN, KEY, ("7", "Zoé")) == said
    assert encode(value(make(call_id=7)), PLAIN, KEY, ("7", "Zoé")) == said


def test_what_the_record_says_itself_counts_first() -> None:
    said = encode(value(cart(call_id=8)), PLAIN, KEY)
    assert encode(value(cart(call_id=8)), PLAIN, KEY, ("7", None)) == said


def test_a_cs_cart_event_takes_a_link_too() -> None:
    said = encode(value(envelope(call_id=7)), PLAIN, KEY)
    assert encode(value(envelope()), PLAIN, KEY, ("7", None)) == said


def test_the_products_make_room_for_the_link() -> None:
    config = ReadConfig(limits=Limits(fields=60))
    record = cart(products=[product(id=number) for number in range(20)])
    form = encode(value(record), config, KEY, ("7", "Zoe"))
    assert form.fields <= 60
    assert form == encode(value(record | {"call_id": 7, "agent": "Zoe"}), config, KEY)


def test_where_there_is_no_room_at_all_the_event_is_sent_without_it() -> None:
    config = ReadConfig(limits=Limits(fields=9))
    assert encode(value(cart()), config, KEY, ("7", "Zoe")) == encode(value(cart()), config, KEY)
