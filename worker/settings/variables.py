"""The environment's variables and what reads them: `NAME`, or the contents of the file that `NAME_FILE` names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from worker.settings.secret import read_text

Origin = Literal["environment", "file", "default"]


class FileText(str):
    """A value that was read from a file, with its path. It is never shown: it may be a secret's file by mistake."""

    __slots__ = ("path",)

    def __new__(cls, text: str, path: Path) -> Self:
        value = super().__new__(cls, text)
        value.path = path
        return value

    path: Path


class Unreadable:
    """Stands for a value that is set, but unknown: rules that depend on it keep silent."""


@dataclass
class Values:
    """What was found. A name that is missing in `found` is unset; `problems` are the names that can't be read."""

    found: dict[str, str | Unreadable] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    empty_files: dict[str, str] = field(default_factory=dict)


def shown(text: str, limit: int = 200) -> str:
    """Text from outside on one printable line."""
    text = text if len(text) <= limit else text[:limit] + "..."
    return text if text.isprintable() else ascii(text)


def read(environ: Mapping[str, str], names: list[str]) -> Values:
    """Reads the named variables; an empty one counts as unset. May block where a file is a pipe."""
    values = Values(origins=dict.fromkeys(names, "default"))
    for name in names:
        direct, path = environ.get(name, ""), environ.get(f"{name}_FILE", "")
        if direct and path:
            _refuse(values, name, f"is set twice, by {name} and by {name}_FILE; keep one of them")
        elif path:
            _read_file(values, name, path)
        elif direct:
            values.found[name] = direct
            values.origins[name] = "environment"
    return values


def _read_file(values: Values, name: str, path: str) -> None:
    try:
        text = read_text(Path(path))
    except OSError as error:
        _refuse_file(values, name, path, error.strerror or type(error).__name__)
    except ValueError as error:
        _refuse_file(values, name, path, str(error))
    else:
        if text:
            values.found[name] = FileText(text, Path(path))
            values.origins[name] = "file"
        else:
            values.empty_files[name] = shown(path)


def _refuse_file(values: Values, name: str, path: str, why: str) -> None:
    message = f"the file that {name}_FILE names, {shown(path)}, can't be read ({why}); correct the path or its rights"
    _refuse(values, name, message)


def _refuse(values: Values, name: str, message: str) -> None:
    values.found[name] = Unreadable()
    values.problems[name] = message
