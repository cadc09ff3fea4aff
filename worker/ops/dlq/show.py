"""`optico-worker dlq list` and `dlq show`: they read, and leave no trace."""

import base64
from heapq import nlargest
from itertools import count
from typing import Any

from worker.adapters.kafka.admin import open_admin
from worker.adapters.kafka.reader import Reader
from worker.core.text import printable
from worker.ops import terminal
from worker.ops.dlq.letter import DeadLetter, RecordPosition, instant
from worker.ops.dlq.shelf import Selection, Shelf
from worker.ops.terminal import CommandError
from worker.ports import Record
from worker.settings import Kafka

_COLUMNS = ("letter", "failed at", "reason", "entity", "attempts", "redrives", "record", "message")


def list_letters(settings: Kafka, topic: str, selection: Selection, *, limit: int | None, as_json: bool) -> int:
    """Prints the letters in order of their failing, the newest `limit` of them; returns the exit code."""
    with open_admin(settings) as admin, Reader(settings) as reader:
        shelf = Shelf(admin, reader, topic)
        read = (letter for letter in shelf.summaries(shelf.starts(selection.since)) if letter in selection)
        numbers = count()
        chosen = (letter for letter, _ in zip(read, numbers, strict=False))
        shown = sorted(chosen if limit is None else nlargest(limit, chosen, _by_failure), key=_by_failure)
        total = next(numbers)
    if as_json:
        for letter in shown:
            terminal.emit_line(letter.summary())
        return 0
    terminal.table(f"Dead letters on {topic}", _COLUMNS, map(_row, shown))
    terminal.note(f"{len(shown):,} of {total:,} dead letters" if len(shown) < total else _many(total))
    return 0


def _by_failure(letter: DeadLetter) -> tuple[float, RecordPosition]:
    return letter.failed_at or 0.0, letter.where


def show_letters(settings: Kafka, topic: str, selection: Selection, *, as_json: bool) -> int:
    """Prints the letters that are named, with headers and value. Raises CommandError if one of them is not there."""
    with open_admin(settings) as admin, Reader(settings) as reader:
        shelf = Shelf(admin, reader, topic)
        if all(place.topic == topic for place in selection.named):
            read = shelf.values([place for place in selection.named if place.at in shelf.begins]).items()
            found = [(DeadLetter.of(place.at, record), record) for place, record in read]
        else:
            found = [(letter, record) for letter, record in shelf.letters() if letter in selection]
    found.sort(key=lambda pair: pair[0].where)
    for letter, record in found:
        if as_json:
            terminal.emit_line(document(letter, record))
        else:
            _print(letter, record)
    there = {letter.where for letter, _ in found} | {letter.origin for letter, _ in found}
    if missing := sorted(map(str, selection.named - there)):
        raise CommandError(f"no dead letter on {topic} is, or is of, {', '.join(missing)}; see `dlq list`")
    return 0


def document(letter: DeadLetter, record: Record) -> dict[str, Any]:
    """The letter for programs. Bytes that are not UTF-8 stand in the `_base64` twin, and null in the other."""
    headers = [{"name": name, **_text("value", value)} for name, value in letter.headers]
    return letter.summary() | _text("key", letter.key) | {"headers": headers} | _text("value", record.value)


def _text(name: str, value: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if value is None else bytes(value).decode(), f"{name}_base64": None}
    except UnicodeDecodeError:
        return {name: None, f"{name}_base64": base64.b64encode(value or b"").decode()}


def _print(letter: DeadLetter, record: Record) -> None:
    terminal.say(str(letter.where), "bold")
    terminal.say(f"  key: {_readable(letter.key)}")
    for name, value in letter.headers:
        terminal.say(f"  {name}: {_readable(value)}")
    terminal.say(f"  value, {len(record.value or b''):,} bytes: {_readable(record.value)}")


def _readable(value: bytes | None) -> str:
    return "none" if value is None else bytes(value).decode("utf-8", "backslashreplace")


def _row(letter: DeadLetter) -> tuple[object, ...]:
    at, failed_at, message = letter.where, instant(letter.failed_at), printable(letter.message or "", 200)
    return at, failed_at, letter.reason, letter.name, letter.attempts, letter.redrives, letter.origin, message


def _many(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"
