"""What a sandbox shows of itself, in the process and over HTTP alike. Times are UNIX seconds.

They advance with the monotonic clock: a step of the wall clock while the sandbox runs doesn't show in them.
"""

from dataclasses import dataclass
from typing import Any

from worker.sandbox.api.check import Kind


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request, in order of arrival.

    `outcome` is `in_flight` until it ends; then the true answer (`success`, `invalid_api_key`,
    `missing_required_parameter`, `invalid_products_format`, `unknown_visit_id`, `too_large`), the action of the fault
    that took its place, or `client_gone`: the client left before any answer. `client_gone` also marks a fault's answer
    that the client did not stay for. `status` is the HTTP status that was sent, None where none was.
    `applied_late`: it took effect after the exchange had ended.
    """

    seq: int
    kind: Kind
    id: str | None
    params: dict[str, Any]
    arrived_at: float
    finished_at: float | None
    outcome: str
    status: int | None
    fault: str | None
    client_gone: bool
    applied_at: float | None
    applied_late: bool

    @property
    def applied(self) -> bool:
        return self.applied_at is not None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What the API would hold of an entity. `seq` is the request that it was last written by."""

    kind: Kind
    id: str
    params: dict[str, Any]
    versions: int
    seq: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class FaultState:
    """A rule as it was set, how often it was applied, and whether it still is."""

    rule: dict[str, Any]
    hits: int
    active: bool


@dataclass(frozen=True, slots=True)
class SandboxState:
    """Counts since the start or the last reset.

    `landing`: requests that are yet to take effect (`apply_after_ms`, or a latency that its client did not wait for).
    `ledger_dropped`: the oldest requests, no longer listed. `elsewhere`: requests that no endpoint of the API is for.
    """

    requests: int
    outcomes: dict[str, int]
    in_flight: int
    max_in_flight: int
    applied: int
    applied_late: int
    landing: int
    records: int
    ledger_size: int
    ledger_dropped: int
    elsewhere: int
    faults: list[FaultState]
