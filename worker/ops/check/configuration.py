"""Every variable as it is, and where it comes from; no secret, and nothing that could be one by mistake."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from worker.ops.check.finding import Finding, ok, warn
from worker.settings import FIELDS, GROUPS, Settings

MASK = "***"
# Not secret itself, but where a password ends up that is pasted one line too high.
_MASKED_TOO = frozenset({"KAFKA_SASL_USERNAME"})


class Variable(NamedTuple):
    """`value` is None where nothing is set; `origin` is environment, default, or the file's path."""

    name: str
    value: str | None
    origin: str


def variables(settings: Settings, environ: Mapping[str, str]) -> list[Variable]:
    """In the documentation's order."""
    return [Variable(name, _value(settings, name), _origin(settings.origins[name], name, environ)) for name in FIELDS]


def check(settings: Settings) -> Iterator[Finding]:
    """The configuration could be used, or nobody would ask; what is left is what is seldom meant."""
    by_hand = sum(origin != "default" for origin in settings.origins.values())
    yield ok("configuration", "", f"{by_hand} of {len(FIELDS)} variables are set", set=by_hand)
    for warning in settings.warnings:
        name, _, what = warning.partition(": ")
        yield warn("configuration", name, what, "docs/configuration.md has every variable")


def _value(settings: Settings, name: str) -> str | None:
    value = getattr(getattr(settings, _group(name)), name.split("_", 1)[1].lower())
    if value is None or value == {}:
        return None
    if _secret(name) or settings.origins[name] == "file":  # the file may be a secret's by mistake
        return MASK
    if isinstance(value, Mapping):
        return ",".join(f"{key}={meaning}" for key, meaning in value.items())
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _secret(name: str) -> bool:
    extra: Any = FIELDS[name].json_schema_extra
    return bool(extra["secret"]) or name in _MASKED_TOO


def _origin(origin: str, name: str, environ: Mapping[str, str]) -> str:
    return f"file {environ.get(f'{name}_FILE', '')}" if origin == "file" else origin


def _group(name: str) -> str:
    return next(group for group in GROUPS if name.startswith(f"{group.upper()}_"))
