"""What is going to happen, and when: how fast the customers are, and how the API fares meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from worker.sandbox.api import Sandbox

_PACE: Final = 240.0  # events per second, in the mean
_SHORTEST, _LONGEST = 6.0, 60.0  # seconds
_ENOUGH_FOR_AN_OUTAGE: Final = 200  # fewer events may miss it
#: How many carts come at once, three seconds' worth of requests, and from how many events on. When, as a part of all.
_CROWD: Final = 600
_ENOUGH_FOR_A_CROWD: Final = 4000
_CROWD_AT: Final = 0.7
_SLOW: Final[list[dict[str, Any]]] = [
    {"status": 429, "headers": {"Retry-After": "1"}, "count": 2},
    {"latency": {"p50": 120, "p99": 900}, "probability": 0.5},
]


@dataclass(frozen=True)
class Scene:
    """From `at` seconds after the first event the API is what `act` makes of it. `down`: it does not work then."""

    at: float
    title: str
    act: Callable[[Sandbox], None]
    down: bool = False


@dataclass(frozen=True)
class Plan:
    events: int
    seed: int
    per_second: float
    scenes: tuple[Scene, ...]
    crowd: int = 0

    @property
    def calm(self) -> int:
        """How many events come before the crowd."""
        return int(_CROWD_AT * (self.events - self.crowd))

    @property
    def outage(self) -> bool:
        return any(scene.down for scene in self.scenes)


def plan(events: int, seed: int) -> Plan:
    """The events in six seconds to a minute, and an outage of a few seconds in their midst."""
    seconds = min(_LONGEST, max(_SHORTEST, events / _PACE))
    scenes = _scenes(seconds) if events >= _ENOUGH_FOR_AN_OUTAGE else ()
    made = Plan(
        events,
        seed,
        max(events / seconds, 20.0),
        (Scene(0, "customers fill their carts", _well), *scenes),
        _CROWD if events >= _ENOUGH_FOR_A_CROWD else 0,
    )
    if not made.crowd:
        return made
    crowd = Scene(made.calm / made.per_second, "a crowd comes at once; a caller's cart goes before it", _well)
    return replace(made, scenes=tuple(sorted((*made.scenes, crowd), key=lambda scene: scene.at)))


def _scenes(seconds: float) -> tuple[Scene, ...]:
    outage, down = 0.3 * seconds, min(3.0, 0.2 * seconds)
    return (
        Scene(outage, "the API is down: it answers 503", _answers_503, down=True),
        Scene(outage + down / 2, "the API is down: it refuses connections", Sandbox.stop, down=True),
        Scene(outage + down, "the API is back; what has waited is sent", _back),
        Scene(0.7 * seconds, "the API is slow, and asks for a pause now and then (429)", _slow),
        Scene(0.9 * seconds, "the API is well again", _well),
    )


def _well(api: Sandbox) -> None:
    api.clear_faults()


def _answers_503(api: Sandbox) -> None:
    api.set_faults([{"status": 503, "body": "Service Unavailable"}])


def _back(api: Sandbox) -> None:
    api.clear_faults()
    api.start()


def _slow(api: Sandbox) -> None:
    api.set_faults(_SLOW)
