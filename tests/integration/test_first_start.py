"""What a worker says of its first start, and of the last events that came."""

import json
from dataclasses import replace

from tests.brokers.tools import wait_until
from tests.integration.events import cart
from tests.integration.process import worker
from tests.integration.test_life import Stages

DAY = 1_732_176_000_000  # 2024-11-21T08:00:00Z


def test_a_first_start_says_what_waits_and_a_later_one_does_not(stage: Stages) -> None:
    """`/readyz` says when the last event of each topic came."""
    s = stage(partitions=2)
    s.produce([replace(cart(str(n)), partition=n % 2, timestamp=DAY + 60_000 * n) for n in range(100)])
    with worker(**s.settings(OPTICO_MAX_REQUESTS_PER_SECOND="50")) as w:
        (line,) = wait_until(lambda: w.logged("the group has no committed offset"), "the warning", 30)
        assert (line["level"], line["records"], line["seconds_at_most"]) == ("warning", 100, 2)
        assert line["since"] == "2024-11-21T08:00:00+00:00"
        s.wait_all_committed()
        status, body = w.get("/readyz")
        assert (status, json.loads(body)["last_events"]) == (200, {s.topic: "2024-11-21T09:39:00+00:00"})
        assert w.stop() == 0
    s.produce([cart("1", 2)])
    with worker(**s.settings()) as w:
        s.wait_all_committed()
        assert w.stop() == 0
        assert w.logged("the group has no committed offset") == []
