"""Reading: events a second, beside kafka-python's poll and orjson over the same topic."""

import json
from typing import Any

from tests.bench.bed import Bed, Reading
from tests.bench.events import SIZE, round_robin
from tests.bench.figures import Figure, Findings, Goal
from tests.brokers.tools import wait_until

IDS = 200
BARE = "kafka-python's poll + orjson"


def run(bed: Bed) -> Findings:
    events = bed.size(300_000, 20_000)
    bed.say(f"writing {events:,} events of {SIZE} B")
    topic = bed.filled(round_robin(events, IDS))
    bares: list[dict[str, float]] = []
    ours: list[Reading] = []
    for number in range(bed.rounds):
        for turn in (_bare, _ours) if number % 2 == 0 else (_ours, _bare):
            turn(bed, topic, events, bares if turn is _bare else ours)
        bed.say(f"round {number + 1}: {ours[-1].rate:,.0f} events/s, bare {bares[-1]['rate']:,.0f}")
    rates, costs = [each["rate"] for each in bares], [each["cost"] for each in bares]
    return Findings(
        [
            Figure(
                f"reading {events:,} events of {SIZE} B over {IDS} ids",
                "events/s",
                tuple(each.rate for each in ours),
                BARE,
                tuple(rates),
                Goal("at least", 0.8, "ratio"),
            ),
            Figure("its cost", "µs CPU an event", tuple(each.cost for each in ours), BARE, tuple(costs)),
        ]
    )


def _bare(bed: Bed, topic: str, events: int, into: list[Any]) -> None:
    with bed.program("tests.bench.bare", "intake", bed.kafka.bootstrap, topic, events) as bare:
        wait_until(lambda: bare.output.read_text().strip() or not bare.running(), "the bare client's end", 120)
        into.append(json.loads(bare.output.read_text()))


def _ours(bed: Bed, topic: str, events: int, into: list[Any]) -> None:
    bed.api.set(latency=0, reset=True)
    with bed.worker(topic) as worker:
        into.append(bed.read_through(worker, events, every=bed.seconds(0.5, 0.1)))
