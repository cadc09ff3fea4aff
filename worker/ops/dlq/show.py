"""`optico-worker dlq list` and `dlq show`: they read, and leave no trace."""

import base64
from heapq import nlargest
from typing import Any

from worker.adapters.kafka.admin import open_admin
from worker.adapters.kafka.reader import Reader
from worker.core.state import RecordPosition
from worker.core.text import printable
from worker.ops import terminal
from worker.ops.dlq.letter import DeadLetter, instant
from worker.ops.dlq.letter_reader import LetterReader, Selection, one_a_record
from worker.ops.terminal import CommandError
from worker.ports import Record
from worker.settings import Settings

_COLUMNS = ("letter", "letters", "failed at", "reason", "entity", "attempts", "record", "message")


def list_letters(settings: Settings, topic: str, selection: Selection, *, limit: int | None, as_json: bool) -> int:
    """Prints the last letter of each record in order of their failing, the newest `limit` of them.

    Returns the exit code.
    """
    with open_admin(settings.kafka) as admin, Reader(settings.kafka) as reader:
        letters_on_topic = LetterReader(admin, reader, topic, settings.reading())
        found = one_a_record(letter for letter, _ in letters_on_topic.letters(selection.since) if letter in selection)
    shown = sorted(found if limit is None else nlargest(limit, found, _by_failure), key=_by_failure)
    if as_json:
        for letter in shown:
            terminal.emit_line(letter.summary())
        return 0
    terminal.table(f"Dead letters on {topic}", _COLUMNS, map(_row, shown))
    total = sum(letter.letters for letter in found)
    many = f"{total:,} dead letter{'' if total == 1 else 's'}"
    if total > len(found):
        many += f" of {len(found):,} record{'' if len(found) == 1 else 's'}"
    terminal.note(many if len(shown) == len(found) else f"{many}; the newest {len(shown):,} are shown")
    return 0


def _by_failure(letter: DeadLetter) -> tuple[float, RecordPosition]:
    return letter.failed_at or 0.0, letter.where


def show_letters(settings: Settings, topic: str, selection: Selection, *, as_json: bool) -> int:
    """Prints the chosen letters with headers and value. Raises CommandError if one that is named is missing."""
    with open_admin(settings.kafka) as admin, Reader(settings.kafka) as reader:
        letters_on_topic = LetterReader(admin, reader, topic, settings.reading())
        by_letter = selection.named and all(place.topic == topic for place in selection.named)
        read = letters_on_topic.at(selection.named) if by_letter else letters_on_topic.letters()
        found = [(letter, record) for letter, record in read if letter in selection]
    found.sort(key=lambda pair: pair[0].where)
    for letter, record in found:
        if as_json:
            terminal.emit_line(document(letter, record))
        else:
            _print(letter, record)
    there = {letter.where for letter, _ in found} | {letter.origin for letter, _ in found}
    if missing := sorted(map(str, selection.named - there)):
        names = ", ".join(missing)
        raise CommandError(f"{topic} holds no dead letter {names}, and none of such a record; see `dlq list`")
    if not found:
        terminal.note("no letter is chosen")
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
    if letter.invalid is not None:
        terminal.say(f"  invalid: {letter.invalid}")
    terminal.say(f"  key: {_readable(letter.key)}")
    for name, value in letter.headers:
        terminal.say(f"  {name}: {_readable(value)}")
    terminal.say(f"  value, {len(record.value or b''):,} bytes: {_readable(record.value)}")


def _readable(value: bytes | None) -> str:
    return "none" if value is None else bytes(value).decode("utf-8", "backslashreplace")


def _row(letter: DeadLetter) -> tuple[object, ...]:
    message = printable(letter.message or "" if letter.invalid is None else f"invalid: {letter.invalid}", 200)
    times = letter.letters, instant(letter.failed_at)
    return letter.where, *times, letter.reason, letter.name, letter.attempts, letter.origin, message
