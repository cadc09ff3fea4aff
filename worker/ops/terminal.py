"""How the commands speak: tables for people, plain lines for pipes, JSON for programs; errors in one line.

Standard output carries the answer alone. What is said beside it (notes, progress) goes to standard error.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from worker.core.text import printable


class CommandError(Exception):
    """A command can't, or must not, do what it was asked for. The message is one line and says the way out."""


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person reads it."""
    return stream.isatty()


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, stream: IO[str] | None = None
) -> None:
    """Rows for people: a table on a terminal; otherwise a line each, tab-separated, the columns' names first.

    A cell that is None is empty. Cells may hold anything from outside; a rich Text keeps its style on a terminal.
    """
    stream = sys.stdout if stream is None else stream
    if not is_terminal(stream):
        for cells in (columns, *rows):
            print(*("" if cell is None else printable(cell) for cell in cells), sep="\t", file=stream)
        return
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for cells in rows:
        drawn.add_row(*map(_cell, cells))
    Console(file=stream).print(drawn)


def row(cells: Sequence[object]) -> None:
    """One row, at once, where the others are not known yet: as `table` writes it where no person reads it."""
    separator = "  " if is_terminal(sys.stdout) else "\t"
    sys.stdout.write(separator.join("" if cell is None else printable(cell) for cell in cells) + "\n")
    sys.stdout.flush()


def emit(document: Any) -> None:
    """Writes the one document of an answer to standard output as JSON: indented on a terminal, one line otherwise."""
    _write_json(document, 2 if is_terminal(sys.stdout) else None)


def emit_line(document: Any) -> None:
    """Writes one of several documents to standard output as JSON, always on one line."""
    _write_json(document, None)


def _write_json(document: Any, indent: int | None) -> None:
    # Lone surrogates, which JSON knows and UTF-8 does not, come out as the escapes that they came in as.
    line = json.dumps(document, ensure_ascii=False, indent=indent) + "\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def say(line: str, style: str = "") -> None:
    """A line of the answer, in a colour where a person reads it."""
    if is_terminal(sys.stdout):
        Console(file=sys.stdout, soft_wrap=True).print(Text(printable(line), style))
    else:
        sys.stdout.write(printable(line) + "\n")


def note(message: str) -> None:
    """A line beside the answer, on standard error. Where nobody reads it any more, the command goes on without."""
    with suppress(OSError):
        sys.stderr.write(printable(message) + "\n")
        sys.stderr.flush()


@contextmanager
def progress(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block runs, if a person sees it; yields what moves it on by a number."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not is_terminal(sys.stderr)) as bar:
        bar_id = bar.add_task(doing, total=total)
        yield lambda steps: bar.advance(bar_id, steps)


def _cell(value: object) -> Text:
    # Never a str: rich would take [brackets] in it for markup.
    return value if isinstance(value, Text) else Text("" if value is None else printable(value))
