"""Faults of the API."""

from typing import Any

from tests.chaos.kinds import kind
from tests.chaos.process import ChaosWorker
from tests.chaos.world import CONCURRENCY, World

Fault = dict[str, Any]


@kind("api-down")
def api_down(world: World) -> None:
    """The API answers 503 to everything for a while: the circuit breaker opens, and probes come one at a time."""
    worker = world.worker()
    with world.load():
        world.delivered(10)
        world.api.set_faults([{"status": 503}])
        world.until(lambda: worker.metrics()["sending_paused{entity=cart,reason=outage}"] == 1, "the breaker to open")
        before = world.api.state().requests
        world.sleep(1.0, 8.0)
        # What was in flight when it shut, and probes 1, 2, 4 … seconds apart.
        assert world.api.state().requests - before <= CONCURRENCY + 5, "the outage was flooded"
        world.api.clear_faults()
        world.healed()
        world.delivered(10)


@kind("api-late")
def api_late(world: World) -> None:
    """Many answers come after the deadline; what was asked takes effect all the same, after its successor."""
    slow = {"latency": {"min": 1600, "max": 5000}, "probability": world.draw.uniform(0.1, 0.5)}
    _under(world, [slow | _seeded(world)], at_least=10)


@kind("api-dripping")
def api_dripping(world: World) -> None:
    """Answers drip byte by byte, most of them beyond the deadline; what was asked has taken effect."""
    drip = {"drip": world.draw.randint(30, 300), "probability": world.draw.uniform(0.2, 0.6)}
    _under(world, [drip | _seeded(world)], at_least=10)


@kind("brownout-30")
def brownout_30(world: World) -> None:
    """30 % of the requests fail with a 5xx."""
    _under(world, _brownout(world, 0.3), at_least=60)


@kind("brownout-70")
def brownout_70(world: World) -> None:
    """70 % of the requests fail with a 5xx."""
    # The circuit breaker opens after some 16 requests, and stays open for 1 to 31 s, while probes fail by chance.
    _under(world, _brownout(world, 0.7), at_least=20, within=300)


@kind("api-garbage")
def api_garbage(world: World) -> None:
    """Answers that are none: HTML, garbage, cut off, redirects, endless bodies, 404 pages."""
    answers: list[Fault] = [
        {"garbage": True},
        {"html": True},
        {"truncated": True},
        {"redirect": True},
        {"huge": 2},
        {"status": 404, "body": "<html>"},
    ]
    _under(world, [answer | {"probability": 0.08} | _seeded(world) for answer in answers], at_least=40)


@kind("reset-after-accepting")
def reset_after_accepting(world: World) -> None:
    """The API accepts, and the connection is reset before it can say so; some of it takes effect only later."""
    late = {"reset": "after", "apply_after_ms": world.draw.randint(500, 8000), "probability": 0.1}
    _under(world, [late | _seeded(world), {"reset": "after", "probability": 0.3} | _seeded(world)], at_least=40)


@kind("too-many-requests")
def too_many_requests(world: World) -> None:
    """429 with Retry-After, in seconds or as a date: everything pauses for that long, nothing counts as an attempt."""
    after = str(world.draw.randint(1, 3))
    refusal = {"status": 429, "headers": {"Retry-After": after}, "probability": 0.05}
    _under(world, [refusal | _seeded(world)], at_least=20)


@kind("key-revoked")
def key_revoked(world: World) -> None:
    """The API refuses the key under load; a new one is put into the key file, without a restart."""
    key_file = world.file("key")
    key_file.write_text("sk_fake_w1\n")
    worker = world.worker(OPTICO_API_KEY="", OPTICO_API_KEY_FILE=str(key_file))
    with world.load():
        world.delivered(10)
        world.api.set_keys(["sk_fake_renewed"])
        world.until(lambda: _refused(worker), "the key to be refused")
        world.sleep(0.0, 4.0)
        key_file.write_text("sk_fake_renewed\n")
        world.healed()
        world.delivered(10)


def _refused(worker: ChaosWorker) -> bool:
    status, why = worker.get("/readyz")
    return status == 503 and "key" in why


def _brownout(world: World, share: float) -> list[Fault]:
    """Each status has its part; the rules are asked in order, each for what the ones before have left."""
    statuses = [500, 502, 503, 504]
    world.draw.shuffle(statuses)
    each = 1 - (1 - share) ** (1 / len(statuses))
    return [{"status": status, "probability": each} | _seeded(world) for status in statuses]


def _seeded(world: World) -> Fault:
    return {"seed": world.draw.randrange(1_000_000)}


def _under(world: World, faults: list[Fault], at_least: int, within: float = 60.0) -> None:
    """Traffic with these faults until so much was delivered, then without them."""
    world.worker()
    with world.load():
        world.delivered(10)
        world.api.set_faults(faults)
        world.delivered(at_least, within)
        world.sleep(0.0, 2.0)
        world.api.clear_faults()
        world.healed()
        world.delivered(10)
