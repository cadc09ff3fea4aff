"""Warnings that come in crowds: few lines, and the number of them all."""

from tests.integration.conftest import Stage
from tests.integration.events import cart
from tests.integration.process import worker
from tests.integration.test_life import Stages


def test_warnings_that_were_held_back_are_counted(stage: Stages) -> None:
    """A hundred rejections are some lines, and what was left out is told before the worker ends at the latest."""
    s: Stage = stage()
    s.produce([cart(str(number), products="no") for number in range(100)])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.stop() == 0
        said = w.logged("a record was rejected")
        more = w.logged("more of the same was not logged line by line")
    assert len(said) <= 10
    assert len(said) + sum(line.get("suppressed", 0) for line in [*said, *more]) == 100
    assert {(line["of"], line["kind"]) for line in more} == {("a record was rejected; it is not sent", "invalid_event")}
