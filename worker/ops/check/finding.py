"""What a check found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """`red`: the worker would not do its work. `warn`: it would, but look at it."""

    OK = "ok"
    WARN = "warn"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. `remedy`: what to do, where there is something to do. `facts`: the same for programs."""

    check: str
    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def ok(check: str, subject: str, detail: str, **facts: Any) -> Finding:
    return Finding(check, subject, Verdict.OK, detail, facts=facts)


def warn(check: str, subject: str, detail: str, remedy: str, **facts: Any) -> Finding:
    return Finding(check, subject, Verdict.WARN, detail, remedy, facts)


def red(check: str, subject: str, detail: str, remedy: str, **facts: Any) -> Finding:
    return Finding(check, subject, Verdict.RED, detail, remedy, facts)


def count(number: int, what: str) -> str:
    """Such as `1 partition`, `1,200 records`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
