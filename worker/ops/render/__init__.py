"""`optico-worker render`: what the worker would send for an event, or why it would not.

The worker's own code reads and encodes these very bytes; only the key is masked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from worker.core.event import Entity, Event, Invalid, Skipped
from worker.formats import ReadConfig, encode, read
from worker.ops import terminal

#: No broker takes a record that large without being told to; what is longer is rejected here, not held in memory.
LONGEST_VALUE: Final = 64 * 1024 * 1024
_KEY: Final = ("key", "***")
_FIELDS: Final = (
    "at",
    "outcome",
    "entity",
    "id",
    "path",
    "parameters",
    "repairs",
    "repaired",
    "warning",
    "reason",
    "field",
    "message",
    "strict",
)


@dataclass(frozen=True, slots=True)
class Source:
    """A value and where it stands: `line 3`, or a record's `carts-0-15`. A value that is `too_long` is None.

    `has_key`: it is a record of a topic, whose key and timestamp (ms) are known.
    """

    at: str
    value: bytes | None
    key: bytes | None = None
    timestamp: int = -1
    too_long: bool = False
    has_key: bool = False


def render(sources: Iterable[Source], config: ReadConfig, *, strict: bool, as_json: bool) -> int:
    """Prints each as it is read; returns 1 if any is rejected, or with `strict` needs a repair, else 0."""
    events = rejected = not_strict = 0
    for source in sources:
        answer = rendered(source, config, strict=strict)
        events += 1
        rejected += answer["outcome"] == "rejected"
        not_strict += answer["strict"] is not None
        if as_json:
            terminal.emit_line(answer)
        else:
            _show(answer)
    if not as_json:
        more = f", {not_strict:,} not as they should be sent" if strict else ""
        terminal.note(f"{events:,} read, {rejected:,} rejected{more}")
    return 1 if rejected or not_strict else 0


def rendered(source: Source, config: ReadConfig, *, strict: bool = False) -> dict[str, Any]:
    """The answer for programs: its keys are always the same, and null where they don't apply.

    `repairs` are the labels, `repaired` names the field that needed each first. `strict` says what is not as producers
    should send it.
    """
    answer: dict[str, Any] = dict.fromkeys(_FIELDS) | {"at": source.at, "repairs": [], "repaired": {}}
    if source.too_long:
        message = f"expected at most {LONGEST_VALUE:,} bytes"
        return answer | {"outcome": "rejected", "reason": "payload_too_large", "message": message}
    outcome = read(source.value, config, source.timestamp)
    if strict and not isinstance(outcome, Invalid):
        answer["strict"] = _not_strict(source, config)
    match outcome:
        case Invalid(reason, kind, path, _, entity_id):
            said = {"reason": reason, "entity": kind, "id": entity_id, "field": path, "message": outcome.message}
            return answer | {"outcome": "rejected"} | said
        case Skipped(reason, kind, entity, repairs):
            named = _named(entity) if entity is not None else {}
            return answer | named | _repairs(repairs) | {"outcome": "skipped", "reason": reason}
        case Event(entity, repairs=repairs):
            form = encode(source.value or b"", config, "")
            sent = {"outcome": "sent", "path": form.path, "parameters": [_KEY, *form.pairs()[1:]]}
            return answer | _named(entity) | _repairs(repairs) | sent | {"warning": _warning(source, entity, config)}


def _not_strict(source: Source, config: ReadConfig) -> str | None:
    """What is not as producers should send it; None: all is."""
    if source.value is None:
        return None
    outcome = read(source.value, replace(config, strict=True), source.timestamp)
    if isinstance(outcome, Invalid):
        return outcome.message
    return ", ".join(_said(label, field) for label, field in outcome.repairs.items()) or None


def _named(entity: Entity) -> dict[str, Any]:
    return {"entity": entity.kind, "id": entity.id}


def _repairs(repairs: Mapping[str, str]) -> dict[str, Any]:
    return {"repairs": sorted(repairs), "repaired": dict(repairs)}


def _said(label: str, field: str) -> str:
    return f"{label} ({field})" if field else label


def _warning(source: Source, entity: Entity, config: ReadConfig) -> str | None:
    expected = f"{entity.kind}:{entity.id.removeprefix(config.id_prefix)}"
    if not source.has_key or source.key == expected.encode():
        return None
    found = "no key" if not source.key else "another key"
    return f"the record has {found}; producers should write it with the key {expected}"


def _show(answer: Mapping[str, Any]) -> None:
    entity = f" {answer['entity']}:{answer['id']}" if answer["id"] is not None else ""
    if answer["outcome"] == "sent":
        terminal.say(f"{answer['at']}:{entity} POST {answer['path']}", "bold")
        for name, value in answer["parameters"]:
            terminal.say(f"  {name}={value}")
    elif answer["outcome"] == "skipped":
        terminal.say(f"{answer['at']}:{entity} skipped, {answer['reason']}", "yellow")
    else:
        terminal.say(f"{answer['at']}:{entity} rejected, {answer['reason']}: {answer['message']}", "red")
    for label, field in answer["repaired"].items():
        terminal.say(f"  repaired: {_said(label, field)}", "yellow")
    if answer["warning"] is not None:
        terminal.say(f"  warning: {answer['warning']}", "yellow")
    if answer["strict"] is not None:
        terminal.say(f"  not as it should be sent: {answer['strict']}", "red")
