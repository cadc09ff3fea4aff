"""Places in the log, as they are written on the command line."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.event import Entity
from worker.core.state import Partition
from worker.ops.replay.targets import At, Earliest, Latest, Offsets, ago, coordinates, entities, instant, offsets, place

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(when=st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)), hours=st.integers(-12, 14))  # noqa: DTZ001
def test_an_instant_is_the_same_in_every_zone(when: datetime, hours: int) -> None:
    utc = when.replace(tzinfo=UTC)
    elsewhere = (when + timedelta(hours=hours)).isoformat() + f"{hours:+03d}:00"
    assert instant(utc.isoformat()) == instant(elsewhere)
    # Never later than the instant: the event of that very millisecond is not to be missed.
    assert 0 <= utc.timestamp() * 1000 - instant(utc.isoformat()).timestamp < 1.001


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-21T08:00:00", "no time zone"),
        ("2026-11-21", "no time zone"),
        ("yesterday", "no date and time"),
        ("1960-01-01T00:00:00Z", "before 1970"),
        ("0001-01-01T00:00:00+14:00", "before 1970"),
        ("", "no date and time"),
    ],
)
def test_what_is_no_instant_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        instant(text)


def test_the_last_instant_there_is_lies_in_a_zone_behind_all_others() -> None:
    assert instant("9999-12-31T23:59:59-14:00").timestamp == 253_402_351_199_000


def test_a_duration_leads_back_from_now() -> None:
    assert ago("PT6H", NOW) == instant("2026-11-21T06:00:00Z")
    assert ago("P1DT1H30M", NOW) == instant("2026-11-20T10:30:00Z")
    assert ago("PT0S", NOW) == instant("2026-11-21T12:00:00Z")


@pytest.mark.parametrize("text", ["6h", "-PT6H", "P1M", "P1Y", "3600", "06:00:00", "P", "", "PT", "P999999999999D"])
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|no fixed length"):
        ago(text, NOW)


def test_places() -> None:
    assert place(["earliest"]) == Earliest()
    assert place(["latest"]) == Latest()
    assert place(["2026-11-21T08:00:00Z"]) == At(1_795_248_000_000)
    found = place(["a.b:0:7", "a.b:1:8"])
    assert found == Offsets({Partition("a.b", 0): 7, Partition("a.b", 1): 8})


@pytest.mark.parametrize(
    "texts", [["earliest", "latest"], ["a:0:1", "2026-11-21T08:00:00Z"], ["a:0"], ["a:b:1"], ["a:0:-1"]]
)
def test_what_is_no_place_is_refused_in_words(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"is no date and time|is not TOPIC:PARTITION:OFFSET"):
        place(texts)


def test_a_partition_has_one_offset() -> None:
    with pytest.raises(ValueError, match="two offsets"):
        offsets([coordinates("a:0:1"), coordinates("a:0:2")])


def test_entities_are_named_by_kind_and_id() -> None:
    assert entities("cart:42") == {Entity("cart", "42")}
    assert entities("order:a:b") == {Entity("order", "a:b")}
    for text in ("", "cart:", "order:"):
        with pytest.raises(ValueError, match="names no cart or order"):
            entities(text)


@pytest.mark.parametrize("text", ["42", "a:b"])
def test_an_id_alone_means_both_kinds(text: str) -> None:
    assert entities(text) == {Entity("cart", text), Entity("order", text)}
