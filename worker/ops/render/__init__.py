"""`optico-worker render`: what the worker would send for an event, or why it would not.

The worker's own code decodes and encodes; only the key is missing, of which nothing is known here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from worker.core.event import Defaults, Invalid, Skipped
from worker.engine.sender import MAX_INPUT_VARS
from worker.formats import LONGEST_FORM, TooLargeError, decode, pairs
from worker.ops import terminal

#: No broker takes a record that large without being told to; what is longer is rejected here, not held in memory.
LONGEST_LINE: Final = 64 * 1024 * 1024
KEY: Final = ("key", "***")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Source:
    """A value and where it stands: `line 3`, or a record's `carts-0-15`. A value of None that is `too_long` is one."""

    at: str
    value: bytes | None
    too_long: bool = False


def render(sources: Iterable[Source], defaults: Defaults, *, as_json: bool) -> int:
    """Prints each as it is read; returns 1 if any is rejected, else 0."""
    read = rejected = 0
    for source in sources:
        answer = rendered(source, defaults)
        read += 1
        rejected += answer["outcome"] == "rejected"
        if as_json:
            terminal.emit_line(answer)
        else:
            _show(answer)
    if not as_json:
        terminal.note(f"{read:,} read, {rejected:,} rejected")
    return 1 if rejected else 0


def rendered(source: Source, defaults: Defaults) -> dict[str, Any]:
    """The answer for programs: its keys are always the same, and null where they don't apply."""
    answer: dict[str, Any] = dict.fromkeys(
        ("at", "outcome", "entity", "id", "path", "parameters", "warning", "reason", "field", "expected")
    )
    answer |= {"at": source.at}
    if source.too_long:
        expected = f"at most {LONGEST_LINE:,} bytes"
        return answer | {"outcome": "rejected", "reason": "payload_too_large", "expected": expected}
    match decode(source.value, defaults):
        case Skipped(reason):
            return answer | {"outcome": "skipped", "reason": reason}
        case Invalid(reason, kind, path, expected, entity_id):
            said = {"reason": reason, "entity": kind, "id": entity_id, "field": path, "expected": expected}
            return answer | {"outcome": "rejected"} | said
        case decoded:
            entity = {"entity": decoded.entity.kind, "id": decoded.entity.id}
            try:
                path, parameters = pairs(source.value or b"", defaults)
            except TooLargeError:
                expected = f"a form of at most {LONGEST_FORM:,} characters"
                return answer | entity | {"outcome": "rejected", "reason": "payload_too_large", "expected": expected}
            sent = {"outcome": "sent", "path": path, "parameters": [*parameters, KEY]}
            return answer | entity | sent | {"warning": _warning(len(parameters) + 1)}


def lines(stream: IO[bytes]) -> Iterator[Source]:
    """JSON lines: one event a line. Blank lines are nobody's events and left out. Memory: one line."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        too_long = len(line) > LONGEST_LINE and not line.endswith(b"\n")
        while too_long and (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)  # an editor's, not the event's
        if line.strip():
            yield Source(f"line {number}", None if too_long else line.rstrip(b"\r\n"), too_long)


def _warning(parameters: int) -> str | None:
    if parameters <= MAX_INPUT_VARS:
        return None
    return f"{parameters:,} parameters, but PHP takes {MAX_INPUT_VARS:,} by default (max_input_vars)"


def _show(answer: dict[str, Any]) -> None:
    entity = f" {answer['entity']}:{answer['id']}" if answer["id"] is not None else ""
    if answer["outcome"] == "sent":
        terminal.say(f"{answer['at']}:{entity} POST {answer['path']}", "bold")
        for name, value in answer["parameters"]:
            terminal.say(f"  {name}={value}")
        if answer["warning"] is not None:
            terminal.say(f"  warning: {answer['warning']}", "yellow")
    elif answer["outcome"] == "skipped":
        terminal.say(f"{answer['at']}: skipped, {answer['reason']}", "yellow")
    else:
        where = f"{answer['field']}: " if answer["field"] else ""
        terminal.say(
            f"{answer['at']}:{entity} rejected, {answer['reason']}: {where}expected {answer['expected']}", "red"
        )
