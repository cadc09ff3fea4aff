"""The rules of delivery that are numbers. Source: the event contract's section on delivery."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.core.circuit_breaker import Change
from worker.core.large import at_once

#: A partition that is behind holds its events at most this long (s).
CATCH_UP_AT_MOST: Final = 60.0
#: After an overtaken ambiguous request the newest state is sent once more this long after its delivery (s).
CONFIRM_AFTER: Final = 10.0
#: The longest wait that an entity's `Retry-After` is obeyed for, and the longest pause that a 429 may ask for (s).
LONGEST_RETRY_AFTER: Final = 60.0
LONGEST_PAUSE: Final = 60.0
#: The longest pause of everything on a 429 that does not say how long (s).
LONGEST_UNASKED_PAUSE: Final = 30.0
#: A cart's visit is known to the API for this long at least; after it `Unknown visit_id` belongs to the event (s).
VISIT_LIFETIME: Final = 900.0
#: Of an event that has failed for so long (s), attempts count by the answers of either kind.
FAILED_LONG: Final = 86_400.0
#: What an entity that waits costs beside its record, in bytes, about: event, slot, queue and their places.
OVERHEAD: Final = 900


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """What of the delivery queue is configured. `window` and `call_window`, that of an entity on a call, are seconds.

    `delay(n)`: seconds after the n-th failure (from 0).

    `large_at_once`: what large events in flight may come to (bytes), see `worker.core.large`. `max_attempts` ends an
    event only with `dead_letters`. `rejection_limit`: so many rejected requests in a row open a circuit breaker; 0:
    never.
    """

    delay: Callable[[int], float]
    window: float = 0.5
    call_window: float = 0.1
    max_pending: int = 50_000
    max_pending_bytes: int = 64 * 1024 * 1024
    large_at_once: int = at_once(32)
    max_attempts: int = 50
    rejection_limit: int = 20
    dead_letters: bool = False


@dataclass(frozen=True, slots=True)
class SettleResult:
    """What `DeliveryQueue.settle` made of an outcome, for logs and measurements.

    `retry_in`: seconds until the next attempt, None if there is none. `exhausted`: the attempts that count are used
    up. `first`: the event's first delivery, not its confirmation. `stale`: its partition was not ours any more.
    `collapsed`: it failed, and is not tried again, because its cart was emptied. `changes`: what changed
    about the circuit breakers.
    """

    retry_in: float | None = None
    exhausted: bool = False
    attempts: int = 0
    first: bool = False
    stale: bool = False
    collapsed: bool = False
    changes: tuple[Change, ...] = ()
