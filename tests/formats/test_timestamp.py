"""`occurred_at`, which serves freshness only and is never an error."""

from typing import Any

import pytest

from tests.formats.events import ABSENT, cart, envelope, order, sent

NINE_O_CLOCK = 1795251600.0
UNREADABLE = [ABSENT, None, "", "yesterday", "1e300", "1_000", "1795251600000", "9" * 5000, True, [], {}]
UNREADABLE += [-1, 1795251600000, 10**22, 1e300, "2026-13-01", "1969-12-31T00:00:00Z"]
UNREADABLE += ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("2026-11-21T09:00:00Z", NINE_O_CLOCK),
        ("2026-11-21T10:00:00+01:00", NINE_O_CLOCK),
        ("2026-11-21T09:00:00", NINE_O_CLOCK),
        ("2026-11-21 09:00", NINE_O_CLOCK),
        ("20261121T090000Z", NINE_O_CLOCK),
        ("2026-11-21T09:00:00.250Z", NINE_O_CLOCK + 0.25),
        ("2026-11-21T09:00:00.250000999Z", NINE_O_CLOCK + 0.25),
        ("2026-11-21", NINE_O_CLOCK - 9 * 3600),
        (1795251600, NINE_O_CLOCK),
        (1795251600.5, NINE_O_CLOCK + 0.5),
        ("1795251600", NINE_O_CLOCK),
        ("1795251600.5", NINE_O_CLOCK + 0.5),
        (0, 0.0),
    ],
    ids=repr,
)
def test_a_time_is_iso_8601_or_unix_seconds(given: Any, seconds: float) -> None:
    for event in (cart(occurred_at=given), order(occurred_at=given), envelope(occurred_at=given)):
        found = sent(event)
        assert found.occurred_at == seconds
        assert isinstance(found.occurred_at, float)


@pytest.mark.parametrize(
    "given",
    UNREADABLE,
    ids=lambda given: repr(given)[:30],
)
def test_an_unreadable_or_absurd_time_is_none(given: Any) -> None:
    for event in (cart(occurred_at=given), order(occurred_at=given), envelope(occurred_at=given)):
        assert sent(event).occurred_at is None
        assert sent(event).repairs == {}
