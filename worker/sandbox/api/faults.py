"""Faults on demand, as JSON: which requests a rule is for, how long it lives, and what it does to them."""

from collections.abc import Iterable
from random import Random
from statistics import NormalDist
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from worker.sandbox.api.check import Kind
from worker.sandbox.api.errors import FaultsError

DEFAULT_DRIP_MS: Final = 1000.0
DEFAULT_HUGE_MB: Final = 64
DEFAULT_LOCATION: Final = "/login"
_P99 = NormalDist().inv_cdf(0.99)

Milliseconds = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[^\r\n\x00]*$")]


def _default(value: Any, default: Any) -> Any:
    return default if value is True else value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Latency(_Model):
    """Milliseconds before the answer: a number, `{"min", "max"}` (uniform) or `{"p50", "p99"}` (lognormal)."""

    min: Milliseconds | None = None
    max: Milliseconds | None = None
    p50: Annotated[Milliseconds, Field(gt=0)] | None = None
    p99: Annotated[Milliseconds, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_distribution(self) -> Self:
        if self.model_fields_set not in ({"min", "max"}, {"p50", "p99"}):
            raise ValueError("expected a number, min and max, or p50 and p99")
        low, high = (self.min, self.max) if self.p50 is None else (self.p50, self.p99)
        if low is None or high is None or low > high:
            raise ValueError("expected min <= max, or p50 <= p99")
        return self

    def sample(self, rng: Random) -> float:
        """Seconds."""
        if self.min is not None and self.max is not None:
            return rng.uniform(self.min, self.max) / 1000
        median, tail = self.p50 or 1, self.p99 or 1
        ratio: float = (tail / median) ** (rng.gauss(0, 1) / _P99)
        return median * ratio / 1000


class Envelope(_Model):
    """The API's JSON answer, with HTTP 200. `{id}` in the message becomes the cart's or order's id."""

    status: str = "error"
    message: str | None = None


def _latency(value: Any) -> Any:
    return {"min": value, "max": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def _envelope(value: Any) -> Any:
    return {"message": value} if isinstance(value, str) else value


Action = Literal["status", "drip", "reset", "hang", "garbage", "html", "truncated", "redirect", "envelope", "huge"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)


class Rule(_Model):
    """One fault. The first rule of a list that matches a request is applied to it, and only that one.

    Whether the request takes effect (`apply`): yes where the API itself answers (`latency`, `drip`, `truncated`,
    `reset: after`, a success `envelope`), no where something before it does. `apply` says otherwise, and
    `apply_after_ms`, counted from when the request has been read, lets it take effect then, whatever was answered.
    """

    # Which requests: all that are given must hold.
    kind: Kind | None = None
    id: str | None = None
    ids: Annotated[frozenset[str], Field(strict=False)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    # For how long.
    count: Annotated[int, Field(ge=1)] | None = None
    for_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    # What happens: a latency, an action, or both.
    latency: Annotated[Latency, BeforeValidator(_latency)] | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    headers: dict[HeaderName, HeaderValue] | None = None
    body: str | None = None
    drip: (
        Annotated[
            Annotated[float, Field(gt=0, le=3_600_000)], BeforeValidator(lambda value: _default(value, DEFAULT_DRIP_MS))
        ]
        | None
    ) = None
    reset: Literal["before", "after"] | None = None
    hang: Literal[True] | None = None
    garbage: Literal[True] | None = None
    html: Literal[True] | None = None
    truncated: Literal[True] | None = None
    redirect: Annotated[HeaderValue, BeforeValidator(lambda value: _default(value, DEFAULT_LOCATION))] | None = None
    envelope: Annotated[Envelope, BeforeValidator(_envelope)] | None = None
    huge: (
        Annotated[Annotated[int, Field(ge=1, le=4096)], BeforeValidator(lambda value: _default(value, DEFAULT_HUGE_MB))]
        | None
    ) = None
    apply: bool | None = None
    apply_after_ms: Milliseconds | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"expected one action, found {' and '.join(given)}")
        if not given and self.latency is None and self.apply is None and self.apply_after_ms is None:
            raise ValueError(f"expected latency or an action: {', '.join(ACTIONS)}")
        if self.status is None and (self.headers is not None or self.body is not None):
            raise ValueError("headers and body belong to status")
        if any(name.lower() in {"content-length", "transfer-encoding"} for name in self.headers or ()):
            raise ValueError("headers: the length of the body is not yours to say; see truncated")
        if self.apply_after_ms is not None and self.apply is False:
            raise ValueError("apply_after_ms and apply: false contradict each other")
        if self.reset == "before" and (self.apply or self.apply_after_ms is not None):
            raise ValueError("reset: before is before the request takes effect; use after")
        return self

    @property
    def action(self) -> Action | None:
        """None: the true answer."""
        return next((name for name in ACTIONS if getattr(self, name) is not None), None)

    @property
    def applies(self) -> bool:
        if self.apply is not None:
            return self.apply
        if self.apply_after_ms is not None or self.action in {None, "drip", "truncated"}:
            return True
        return self.reset == "after" or (self.envelope is not None and self.envelope.status == "success")


_RULES = TypeAdapter(list[Rule])


def parse_faults(faults: bytes | Iterable[Any]) -> list[Rule]:
    """Rules of a JSON text, or of what such a text holds. Raises FaultsError that names each field that is wrong."""
    try:
        return _RULES.validate_json(faults) if isinstance(faults, bytes) else _RULES.validate_python(list(faults))
    except ValidationError as error:
        raise FaultsError([_problem(found["loc"], found["msg"]) for found in error.errors()]) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return f"{path or 'faults'}: {message}"
