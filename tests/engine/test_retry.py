"""The delays between attempts."""

import pytest

from worker.engine.retry import delays


def test_delays_double_up_to_half_a_minute() -> None:
    delay = delays(draw=lambda: 0.0)
    assert [delay(failures) for failures in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_adds_a_quarter_at_most_and_never_takes() -> None:
    assert delays(draw=lambda: 1.0)(3) == pytest.approx(10.0)
    delay = delays()
    assert all(4.0 <= delay(2) <= 5.0 for _ in range(1000))
