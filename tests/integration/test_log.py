"""What is in the log of a worker to which nothing happens, and of one that has to wait."""

import pytest

from tests.brokers.tools import wait_until
from tests.integration.events import cart
from tests.integration.process import worker
from tests.integration.test_life import Stages


@pytest.mark.parametrize("level", ["info", "debug"])
def test_an_ordinary_start_and_stop_has_no_line_of_the_client_library(stage: Stages, level: str) -> None:
    """A topic that does not exist is said by the worker itself."""
    s = stage()
    s.produce([cart("1")])
    topics = f"{s.topic},{s.topic}-later"
    with worker(**s.settings(WORKER_LOG_LEVEL=level, KAFKA_TOPICS=topics)) as w:
        s.wait_all_committed()
        wait_until(lambda: w.logged("these topics do not exist"), "the missing topic", 10)
        assert w.stop() == 0
        lines = [line for line in w.log() if line["logger"].startswith("kafka")]
        # That it got no processor for a while is a slow machine's fault.
        assert [line for line in lines if "blocking the event loop" not in line["event"]] == []


def test_a_join_that_waits_for_the_session_of_a_killed_member_says_so(stage: Stages) -> None:
    s = stage()
    patient = s.settings(KAFKA_SESSION_TIMEOUT_MS="15000")
    with worker(**patient) as w:
        w.wait_ready()
        w.kill()
    with worker(**patient) as w:
        wait_until(lambda: w.logged("partitions are assigned"), "the partitions", 30)
        said = [line["event"] for line in w.log()]
        (waits,) = (number for number, event in enumerate(said) if event.startswith("joining takes long"))
        assert waits < said.index("partitions are assigned")
        assert "KAFKA_SESSION_TIMEOUT_MS" in said[waits]
        assert w.stop() == 0
